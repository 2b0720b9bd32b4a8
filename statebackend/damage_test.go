package statebackend

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// kept is a folder of the epochs 1 to n, and the paths of the newest's files.
func kept(t *testing.T, n int64) (fs *vfs.MemFS, pointer, object string) {
	t.Helper()
	fs = vfs.NewMem()
	f, _, _ := start(t, fs)
	for epoch := int64(1); epoch <= n; epoch++ {
		if err := commit(f, epoch); err != nil {
			t.Fatal(err)
		}
	}
	p, err := f.Pointer(context.Background(), n)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return fs, "state/" + pointerName(n), "state/" + objectPath(p.Generations["shard/0"][0])
}

// overwrite gives a file another content; nil removes it.
func overwrite(t *testing.T, fs vfs.FS, path string, content []byte) {
	t.Helper()
	err := fs.Remove(path)
	if err == nil && content != nil {
		err = writeAtomic(fs, fs.PathDir(path), fs.PathBase(path), content)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, fs vfs.FS, path string) []byte {
	t.Helper()
	text, err := readFile(fs, path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// goesBack starts a folder and expects it to go on from an epoch, with all of it.
func goesBack(t *testing.T, fs vfs.FS, to int64) (f *State, log string) {
	t.Helper()
	var text bytes.Buffer
	f = Open(NewFolder(fs, "state"), Options{Pipeline: "p", Logger: slog.New(slog.NewTextHandler(&text, nil))})
	_, p, err := begin(context.Background(), f)
	if err != nil || p == nil || p.Epoch != to {
		t.Fatalf("goes on from %+v, %v; want epoch %d", p, err, to)
	}
	if got := readAll(t, f, p.Generations["shard/0"]); string(got[0].Value) != fmt.Sprint(to) {
		t.Fatalf("epoch %d holds %q", to, got[0].Value)
	}
	return f, text.String()
}

// Whichever file of the newest epoch is changed, cut short or gone, the epoch
// before is gone on from, and that is said.
func TestDamagedEpochIsGoneBackBehind(t *testing.T) {
	_, pointer, object := kept(t, 4)
	for what, path := range map[string]string{"pointer": pointer, "object": object} {
		fs, _, _ := kept(t, 4)
		whole := content(t, fs, path)
		var all [][]byte
		for bit := 0; bit < len(whole)*8; bit += 7 {
			flipped := slices.Clone(whole)
			flipped[bit/8] ^= 1 << (bit % 8)
			all = append(all, flipped)
		}
		for _, n := range []int{0, 1, len(whole) / 2, len(whole) - 2} {
			all = append(all, whole[:n])
		}
		all = append(all, nil)
		for i, text := range all {
			fs, _, _ := kept(t, 4)
			overwrite(t, fs, path, text)
			f := Open(NewFolder(fs, "state"), Options{Pipeline: "p"})
			if p, _, err := f.newest(t.Context()); err == nil && p.Epoch == 4 { // a flip that changes nothing: the case of a key, the last space
				if back := string(readAll(t, f, p.Generations["shard/0"])[0].Value); what != "pointer" || back != "4" {
					t.Fatalf("%s %d is taken for whole", what, i)
				}
				continue
			}
			f, log := goesBack(t, fs, 3)
			if gone := what == "pointer" && text == nil; !gone && (f.Damaged() != 1 || !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "damaged=4 goes_back_to=3")) {
				t.Fatalf("%s %d: %d damaged; %s", what, i, f.Damaged(), log)
			}
			if err := commit(f, 4); err != nil { // what it would have come to again
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			goesBack(t, fs, 4)
		}
	}
}

// Several damaged epochs are gone back behind at once; they never come back.
func TestDamagedEpochsStayAside(t *testing.T) {
	fs, pointer, object := kept(t, 4)
	lost := content(t, fs, object)
	overwrite(t, fs, object, nil)
	third := fs.PathJoin(fs.PathDir(pointer), "3.json")
	overwrite(t, fs, third, []byte("{"))
	f, _ := goesBack(t, fs, 2)
	if f.Damaged() != 2 {
		t.Errorf("%d damaged", f.Damaged())
	}
	if err := makeDir(fs, fs.PathDir(object)); err != nil {
		t.Fatal(err)
	}
	if err := writeAtomic(fs, fs.PathDir(object), fs.PathBase(object), lost); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	goesBack(t, fs, 2)
}

// Where no epoch is whole the start fails, says what is wrong with each, and
// nothing is deleted.
func TestNoEpochIsWhole(t *testing.T) {
	fs, pointer, object := kept(t, 4)
	overwrite(t, fs, object, nil)
	for _, name := range []string{"2.json", "3.json"} {
		overwrite(t, fs, fs.PathJoin(fs.PathDir(pointer), name), []byte("{}"))
	}
	tree := func() string { // but for the claims of the starts
		return regexp.MustCompile(`(?m)^.*\b0{9}\d{3}$\n`).ReplaceAllString(fs.String(), "")
	}
	before := tree()
	f := Open(NewFolder(fs, "state"), Options{Pipeline: "p"})
	_, p, err := begin(context.Background(), f)
	if !errors.Is(err, ErrNoneWhole) || p != nil {
		t.Fatalf("%+v, %v", p, err)
	}
	for _, part := range []string{"in epoch 4", "2.json", "3.json"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in %v", part, err)
		}
	}
	if after := tree(); before != after {
		t.Errorf("was\n%s\nis\n%s", before, after)
	}
}

// What is wrong with older epochs, and what is no pointer, is no hindrance.
func TestOldDamageIsNoHindrance(t *testing.T) {
	fs, pointer, _ := kept(t, 4)
	dir := fs.PathDir(pointer)
	overwrite(t, fs, fs.PathJoin(dir, "2.json"), []byte("\x00\x00"))
	for _, name := range []string{"notes.txt", "x.json", "04.json", "5.json.temp", ".json"} {
		if err := writeAtomic(fs, dir, name, []byte("not ours")); err != nil {
			t.Fatal(err)
		}
	}
	f, log := goesBack(t, fs, 4)
	if f.Damaged() != 0 || log != "" {
		t.Errorf("%d damaged: %s", f.Damaged(), log)
	}
	for epoch := int64(5); epoch <= 7; epoch++ {
		if err := commit(f, epoch); err != nil {
			t.Fatal(err)
		}
	}
	if tree := fs.String(); strings.Count(tree, ".sst") != 3 {
		t.Errorf("objects stay once nothing retained is damaged:\n%s", tree)
	}
}

// A file that may not be read is not damaged, nor is the pointer of a newer
// program: nothing is gone back behind.
func TestOtherErrorsAreNoDamage(t *testing.T) {
	fs, pointer, _ := kept(t, 4)
	text := []byte(`{"version":9,"epoch":4}`)
	overwrite(t, fs, pointer, fmt.Appendf(nil, `{"checksum":%q,"pointer":%s}`, checksum(text), text))
	_, p, err := begin(context.Background(), Open(NewFolder(fs, "state"), Options{Pipeline: "p"}))
	if err == nil || errors.Is(err, ErrDamaged) || p != nil || !strings.Contains(err.Error(), "version 9") {
		t.Fatalf("%+v, %v", p, err)
	}
}
