package materialize

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/stream"
	"pgregory.net/rapid"
)

// snap opens the sink of a folder as a run does.
func snap(t fataler, dir string, plan *pipeline.Plan, o SnapshotOptions, state []byte) *Snapshot {
	t.Helper()
	s, err := NewSnapshot(dir, plan, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Restore(context.Background(), state); err != nil {
		t.Fatal(err)
	}
	return s
}

// play does steps to a snapshot and returns the states of its checkpoints by
// step.
func play(t fataler, s *Snapshot, plan *pipeline.Plan, script []step) map[int][]byte {
	t.Helper()
	states := map[int][]byte{}
	for i := range script {
		if !script[i].checkpoint {
			deliver(t, s, script[i].output(plan))
			continue
		}
		state, err := s.Checkpoint(context.Background(), int64(i))
		if err != nil {
			t.Fatal(err)
		}
		states[i] = state
	}
	return states
}

// finish ends a snapshot and checks its manifest against its files and rows.
func finish(t fataler, s *Snapshot, dir string, want records) *Manifest {
	t.Helper()
	if err := s.Finish(&Manifest{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	side, err := OpenSnapshotSide(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer side.Close()
	got, notFinal := read(t, side)
	same(t, "the snapshot", got, want)
	m, err := ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	if notFinal > 0 || m.Counts.Rows != int64(len(want)) {
		t.Fatalf("%d rows are not final, and the manifest counts %d rows of %d", notFinal, m.Counts.Rows, len(want))
	}
	checkFiles(t, dir, m)
	return m
}

// checkFiles checks that a snapshot's files are those of the manifest, no more.
func checkFiles(t fataler, dir string, m *Manifest) {
	t.Helper()
	listed, rows := []string{}, int64(0)
	for _, p := range m.Parts {
		content, err := os.ReadFile(filepath.Join(dir, p.Path))
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(content); p.Bytes != int64(len(content)) || p.SHA256 != hex.EncodeToString(sum[:]) {
			t.Fatalf("%s is not as the manifest says", p.Path)
		}
		listed, rows = append(listed, p.Path), rows+p.Rows
	}
	slices.Sort(listed)
	if found := filesBelow(t, filepath.Join(dir, rowsFolder)); !slices.Equal(found, listed) || rows != m.Counts.Rows {
		t.Fatalf("files %v, the manifest lists %v; %d rows of %d", found, listed, rows, m.Counts.Rows)
	}
}

func filesBelow(t fataler, folder string) []string {
	t.Helper()
	found := []string{}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			name, _ := filepath.Rel(filepath.Dir(folder), path)
			found = append(found, filepath.ToSlash(name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	return found
}

func hashOfRecords(plan *pipeline.Plan, script []step) string {
	h := stream.NewContentHash(plan)
	last := map[rowKey]at{}
	for i := range script {
		for j := range script[i].blocks {
			b := &script[i].blocks[j]
			r := b.rows(plan)
			for row, c := range b.cells {
				k := rowKey{b.end, c}
				if old, is := last[k]; !b.empty && (!is || b.revision >= old.block.Revision) {
					last[k] = at{r, row}
				}
			}
		}
	}
	for _, r := range last {
		h.AddRow(r.block, r.row)
	}
	return h.String()
}

// What a snapshot holds is the last revision of every row, whatever came between
// and wherever it was checkpointed; a run that is cut off after a checkpoint
// and goes on from it ends with the same rows, hash and counts, and no other file.
func TestSnapshotRoundTripAndResume(t *testing.T) {
	plan, cells, drawn := planOf(t, "snap", "none", "json"), someCells(t), 0
	rapid.Check(t, func(t *rapid.T) {
		if drawn++; drawn > 30 { // each waits for the disk many times
			return
		}
		script := drawScript(t, plan, cells)
		want := expected(plan, script)
		parent, err := os.MkdirTemp("", "hextide-test-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(parent)
		dir := filepath.Join(parent, "whole")
		s := snap(t, dir, plan, SnapshotOptions{}, nil)
		states := play(t, s, plan, script)
		whole := finish(t, s, dir, want)
		if hash := hashOfRecords(plan, script); whole.ContentHash != hash {
			t.Fatalf("content_hash %s, of the rows %s", whole.ContentHash, hash)
		}
		bare := snap(t, filepath.Join(parent, "none"), plan, SnapshotOptions{NoFiles: true}, nil)
		play(t, bare, plan, script)
		if bare.crew.hash.String() != whole.ContentHash || bare.crew.rows != whole.Counts.Rows {
			t.Fatalf("without files the content_hash is %s, with them %s", bare.crew.hash, whole.ContentHash)
		}
		if _, err := os.Stat(filepath.Join(parent, "none")); err == nil {
			t.Fatal("a snapshot without files leaves some")
		}
		at := rapid.SampledFrom(slices.Sorted(maps.Keys(states))).Draw(t, "at")
		cutOff(t, filepath.Join(parent, "cut"), plan, script, at, whole, want)
	})
}

// cutOff runs a script up to some steps after a checkpoint, and anew from it.
func cutOff(t *rapid.T, dir string, plan *pipeline.Plan, script []step, checkpoint int, whole *Manifest, want records) {
	defer os.RemoveAll(dir)
	first := snap(t, dir, plan, SnapshotOptions{}, nil)
	states := play(t, first, plan, script[:checkpoint+1])
	more := rapid.IntRange(checkpoint+1, len(script)).Draw(t, "cut")
	play(t, first, plan, script[checkpoint+1:more])
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := snap(t, dir, plan, SnapshotOptions{}, states[checkpoint])
	play(t, second, plan, script[checkpoint+1:])
	m := finish(t, second, dir, want)
	if m.ContentHash != whole.ContentHash {
		t.Fatalf("resumed after step %d: content_hash %s, undisturbed %s", checkpoint, m.ContentHash, whole.ContentHash)
	}
	for _, folder := range []string{"dead", "late"} {
		if got, want := linesBelow(t, filepath.Join(dir, folder)), linesOf(script, folder); got != want {
			t.Fatalf("resumed after step %d: %d lines of %s records, not %d", checkpoint, got, folder, want)
		}
	}
}

func linesOf(script []step, folder string) (n int) {
	for _, s := range script {
		if folder == "dead" {
			n += s.dead
		} else {
			n += s.late
		}
	}
	return n
}

func linesBelow(t fataler, folder string) (n int) {
	t.Helper()
	names, _ := filepath.Glob(filepath.Join(folder, "*.jsonl"))
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(content)) {
			if !json.Valid([]byte(line)) {
				t.Fatalf("%s holds %q", name, line)
			}
			n++
		}
	}
	return n
}

// The columns beside the definition's own are what docs/snapshot.md says.
func TestSnapshotFixedColumns(t *testing.T) {
	plan, cells, dir := planOf(t, "snap", "none", "json"), someCells(t), t.TempDir()
	s := snap(t, dir, plan, SnapshotOptions{}, nil)
	b := simple(plan, noon, 1, 7, cells[len(cells)-1])
	b.final = true
	deliver(t, s, (&step{blocks: []block{b}, frontier: &stream.Frontier{Provisional: noon, Final: noon}}).output(plan))
	if _, err := s.Checkpoint(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	m := finish(t, s, dir, expected(plan, []step{{blocks: []block{b}}}))
	if m.Parts[0].Path != "rows/date=2008-05-21/hour=12/part-00000.parquet" {
		t.Errorf("the file of noon is %s", m.Parts[0].Path)
	}
	f, err := file.OpenParquetFile(filepath.Join(dir, m.Parts[0].Path), false)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	group := f.RowGroup(0)
	if names, _, err := readColumn[parquet.ByteArray](group, columnH3, 1, nil, nil); err != nil || string(names[0]) != b.cells[0].String() {
		t.Errorf("h3 is %s, %v", names, err)
	}
	if known, err := required[int64](group, columnAvailable, 1, nil); err != nil || known[0] != noon+150e6 {
		t.Errorf("available_at is %d, %v: not 30 s and 2 min after the window end %d", known, err, noon)
	}
	if final, err := required[bool](group, columnFinal, 1, nil); err != nil || !final[0] {
		t.Errorf("final is %v, %v", final, err)
	}
	if revision, err := required[int32](group, columnRevision, 1, nil); err != nil || revision[0] != 1 {
		t.Errorf("revision is %v, %v", revision, err)
	}
}

// A full disk fails the checkpoint, and every later one: no checkpoint covers
// rows that no file holds. Before that the disk had room again, so that only
// the sink's own memory of the failure can prevent it.
func TestSnapshotDiskFull(t *testing.T) {
	if !inOwnProcess(t) {
		return
	}
	plan, cells, dir := planOf(t, "snap", "none", "json"), someCells(t), t.TempDir()
	s := snap(t, dir, plan, SnapshotOptions{}, nil)
	b := simple(plan, noon, 0, 7, cells[len(cells)-1])
	b.final = true
	first := step{blocks: []block{b}, frontier: &stream.Frontier{Provisional: noon, Final: noon}}
	deliver(t, s, first.output(plan))
	withLittleDisk(t, func() {
		if state, err := s.Checkpoint(t.Context(), 1); err == nil || !strings.Contains(err.Error(), "part-00000.parquet: ") || state != nil {
			t.Errorf("with a full disk a checkpoint returns %q, %v", state, err)
		}
	})
	if _, err := s.Checkpoint(t.Context(), 2); err == nil {
		t.Error("a checkpoint succeeds although rows before it were lost")
	}
	if err := s.Write(t.Context(), first.output(plan)); err == nil {
		t.Error("the run goes on although no checkpoint can succeed")
	}
	_ = s.Close()
	again := snap(t, dir, plan, SnapshotOptions{}, nil)
	play(t, again, plan, []step{first, {checkpoint: true}})
	finish(t, again, dir, expected(plan, []step{first}))
}

// Dead letters and late records on a full disk: the same, also where no further
// one comes that would need the disk.
func TestRecordsDiskFull(t *testing.T) {
	if !inOwnProcess(t) {
		return
	}
	plan := planOf(t, "snap", "none", "json")
	for name, open := range map[string]func(dir string) stream.Sink{
		"records":  func(dir string) stream.Sink { return NewRecords(dir) },
		"snapshot": func(dir string) stream.Sink { return snap(t, dir, plan, SnapshotOptions{}, nil) },
	} {
		sink := open(t.TempDir())
		if err := sink.Write(t.Context(), (&step{dead: 1, late: 1}).output(plan)); err != nil {
			t.Fatal(err)
		}
		withLittleDisk(t, func() {
			if _, err := sink.Checkpoint(t.Context(), 1); err == nil {
				t.Errorf("%s: with a full disk a checkpoint succeeds", name)
			}
		})
		if _, err := sink.Checkpoint(t.Context(), 2); err == nil {
			t.Errorf("%s: a checkpoint succeeds although records before it were lost", name)
		}
		if err := sink.Write(t.Context(), (&step{}).output(plan)); err == nil {
			t.Errorf("%s: the run goes on although no checkpoint can succeed", name)
		}
		_ = sink.Close()
	}
}

// inOwnProcess tells whether this process runs a test alone; if not, it has one do so.
// Where no file of the process may grow, go test itself keeps none here.
func inOwnProcess(t *testing.T) bool {
	t.Helper()
	const alone = "HEXTIDE_TEST_ALONE"
	if os.Getenv(alone) == t.Name() {
		return true
	}
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(t.Context(), binary, "-test.run=^"+t.Name()+"$")
	run.Env = append(os.Environ(), alone+"="+t.Name())
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return false
}

// withLittleDisk runs f while no file of this process may grow beyond 16 bytes.
func withLittleDisk(t *testing.T, f func()) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 16, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}

// A raw record that no Kafka record could hold is kept in part, with its size.
func TestLongRawIsCut(t *testing.T) {
	raw := make([]byte, 10<<20)
	dead := deadLine(&stream.DeadLetter{Raw: raw})
	late := lateLine(&stream.LateRecord{Raw: raw})
	line, err := json.Marshal(dead)
	if err != nil || len(line) > 1_000_000 || dead.RawSize != len(raw) || late.RawSize != len(raw) || len(late.Raw) != len(dead.Raw) {
		t.Errorf("%d bytes of JSON, sizes %d and %d, %v", len(line), dead.RawSize, late.RawSize, err)
	}
	if short := deadLine(&stream.DeadLetter{Raw: raw[:9]}); len(short.Raw) != 9 || short.RawSize != 0 {
		t.Errorf("9 bytes are kept as %d of %d", len(short.Raw), short.RawSize)
	}
}

// A snapshot without a manifest, or with that of another version, is refused.
func TestManifestRefuses(t *testing.T) {
	dir := t.TempDir()
	for content, message := range map[string]string{"": "--resume", "{": "damaged", `{"version": 9}`: "version 9"} {
		if content != "" {
			if err := os.WriteFile(filepath.Join(dir, ManifestName), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		_, err := OpenSnapshotSide(dir)
		if content == "" {
			_, err = OpenSnapshotSide(t.TempDir())
		}
		if err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("manifest %q: %v", content, err)
		}
	}
}

// The hash of docs/snapshot.md's example is that of the bytes that it shows.
func TestContentHashOfTheDocument(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "docs", "snapshot.md"))
	if err != nil {
		t.Fatal(err)
	}
	names, kinds := []string{"n_k0_w1m", "share"}, []column.Kind{column.Int, column.Float}
	rows := &stream.Rows{Resolution: 9, WindowEnd: 1211328060e6, Cells: []geo.Cell{0x8928308280fffff, 0x89283082837ffff},
		Columns: []column.Vector{{Kind: column.Int, Ints: []int64{3, 0}}, {Kind: column.Float, Floats: []float64{0.5, 0}}}}
	rows.Columns[1].Nulls.Set(1)
	hash := stream.HashColumns(names, kinds)
	want := []string{hex.EncodeToString(stream.AppendSchemaRecord(nil, names, kinds)), hash.String()}
	for i := range rows.Cells {
		want = append(want, hex.EncodeToString(stream.AppendRecord(nil, rows, i)))
	}
	hash.Add(rows)
	want = append(want, hash.String())
	squeezed := strings.ReplaceAll(string(content), " ", "")
	for _, text := range want {
		if !strings.Contains(squeezed, "`"+text+"`") {
			t.Errorf("docs/snapshot.md has not %s", text)
		}
	}
}
