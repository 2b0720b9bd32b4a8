package main

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hextide/hextide/internal/testserver"
	"github.com/hextide/hextide/materialize"
	"github.com/hextide/hextide/stream"
)

// exactly is a bounded run of a pipeline whose feed, group and snapshot are held
// against an undisturbed backfill.
type exactly struct {
	t           *testing.T
	definition  string
	name        string
	brokers     string
	undisturbed *process
	want        string // snapshot
}

func newExactly(t *testing.T, brokers string) *exactly {
	t.Helper()
	e := &exactly{t: t, brokers: brokers}
	e.definition, e.name = define(t, city)
	input := repeated(t, 2)
	e.undisturbed, e.want = backfill(t, e.definition, []string{input})
	forget(t, brokers, e.name)
	do(t, exitDone, "simulate", e.definition, "--brokers", brokers, "--speed", "0", "--partitions", "4", "--input", input)
	return e
}

// restarted makes a subtest for each of some changes of city, over the taxis.
func restarted(t *testing.T, test func(t *testing.T, e *exactly, late bool)) {
	for name, changes := range map[string][]string{
		"dedup":    nil,
		"lateness": {dedupLine.FindString(city), "\n  allowed_lateness: 2m\n  out_of_order: 10s"},
	} {
		t.Run(name, func(t *testing.T) {
			e := &exactly{t: t}
			e.definition, e.name = define(t, city, changes...)
			e.undisturbed, e.want = backfill(t, e.definition, []string{taxis})
			e.brokers = replayed(t, e.definition, e.name, taxis)
			test(t, e, changes != nil)
		})
	}
}

// killed kills a run again and again, in a life of its own after each that ended
// before it could be, and gives the last.
func (e *exactly) killed(c *crashes, delivery ...string) (l *life) {
	e.t.Helper()
	lives := 0
	c.begin = func(again bool, variables []string) *process {
		if again {
			lives++
			l = e.life(e.t, fmt.Sprint(lives))
			if len(delivery) > 0 {
				l.delivery = delivery
			}
		}
		return l.run(variables, often...)
	}
	c.run()
	e.t.Logf("%d kills in %d lives", c.kills, lives)
	return l
}

// life is one with a feed, a group and a folder of its own.
type life struct {
	*exactly
	feed, group, folder string
	definition          string
	delivery            []string // arguments that say how the feed is delivered
}

func (e *exactly) life(t *testing.T, what string) *life {
	of := *e
	of.t = t
	what = strings.NewReplacer(":", "-", "/", "-").Replace(what)
	l := &life{exactly: &of, feed: e.name + ".rows-" + what, group: e.name + "-" + what, folder: t.TempDir()}
	l.definition = rename(t, e.definition, e.name+".rows", l.feed)
	l.delivery = []string{"--group", l.group}
	return l
}

func (l *life) state() string { return filepath.Join(l.folder, "state") }

func (l *life) out() string { return filepath.Join(l.folder, "out") }

// run starts a run in the folder.
func (l *life) run(variables []string, more ...string) *process {
	l.t.Helper()
	return start(l.t, variables, slices.Concat([]string{"run", l.definition, "--brokers", l.brokers, "--bounded", "--shards", "8",
		"--state", l.state(), "--out", l.out(), "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0",
		"--checkpoint-interval", "20ms", "--checkpoint-min-pause", "1ms", "--batch", "100"}, l.delivery, more)...)
}

// done waits for the end of a run.
func (l *life) done(p *process) {
	l.t.Helper()
	if code := p.wait(); code != exitDone {
		l.t.Fatalf("exit code %d\n%s", code, p.err)
	}
}

// like holds the snapshot against the undisturbed one, and what was told once.
func (l *life) like() {
	l.t.Helper()
	l.kept()
	l.told(l.state())
}

// kept holds the snapshot against the undisturbed one.
func (l *life) kept() {
	l.t.Helper()
	want := manifest(l.t, l.want)
	if got := manifest(l.t, l.out()); got.ContentHash != l.undisturbed.hash() || got.Counts != want.Counts {
		l.t.Errorf("%s %+v, undisturbed %s %+v", got.ContentHash, got.Counts, l.undisturbed.hash(), want.Counts)
	}
	filesListed(l.t, l.out())
}

// told holds the feed against the undisturbed snapshot, each record once, and the
// group against the newest pointer of a state.
func (l *life) told(state string) {
	l.t.Helper()
	want := manifest(l.t, l.want)
	agree(l.t, want.Counts.Rows, "kafka://"+l.brokers+"/"+l.feed, l.want)
	if rows, _, _ := once(l.t, l.brokers, l.feed); int64(rows) < want.Counts.Rows {
		l.t.Errorf("%d rows of %d", rows, want.Counts.Rows)
	}
	groupAgrees(l.t, l.brokers, l.group, l.name, state)
}

// The broker is killed and stays away, or is stopped and started again, while runs
// are in the middle of their transactions, have just committed, or are about to take
// their last checkpoint: they go on by themselves, lose nothing and double nothing.
func TestBrokerRestartedInTransaction(t *testing.T) {
	t.Parallel()
	broker := testserver.NewBroker(t)
	e := newExactly(t, broker.Addr())
	points := []string{stream.CrashBeforeLastBarrier, materialize.CrashFeedEnded + "/2"}
	for _, point := range inTransaction {
		points = append(points, point+"/2")
	}
	for what, disturb := range map[string]struct {
		end  func()
		away time.Duration
	}{
		"killed":  {broker.Kill, away()},
		"stopped": {broker.Stop, 0},
	} {
		var lives []*life
		var runs []*process
		for _, point := range points {
			l := e.life(t, what+"-"+point)
			p := l.run(stopAt(point))
			p.stands()
			lives, runs = append(lives, l), append(runs, p)
		}
		disturb.end()
		for _, p := range runs {
			p.goesOn()
		}
		time.Sleep(disturb.away)
		broker.Start()
		for i, l := range lives {
			l.done(runs[i])
			l.like()
			if disturb.away > 0 {
				complains(t, runs[i], "Kafka broker")
			}
		}
	}
}

// A run that is killed twenty times in a row while it restores its state goes on
// where it was.
func TestCrashesDuringRestore(t *testing.T) {
	t.Parallel()
	const seed, kills = 1, 20
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	l := newExactly(t, testserver.Kafka(t)).life(t, "once")
	if p := l.run([]string{"HEXTIDE_TEST_CRASH=" + stream.CrashAfterCommit + "/2"}); p.wait() != -1 {
		t.Fatalf("it was not killed\n%s", p.err)
	}
	epoch := newestPointer(t, l.state()).Epoch
	points := []string{stream.CrashClaimed, stream.CrashFenced, materialize.CrashFeedFenced, stream.CrashRestored}
	for range kills {
		point := points[random.IntN(len(points))]
		if p := l.run([]string{"HEXTIDE_TEST_CRASH=" + point}); p.wait() != -1 {
			t.Fatalf("it was not killed at %s\n%s", point, p.err)
		}
	}
	if now := newestPointer(t, l.state()).Epoch; now != epoch {
		t.Errorf("the newest epoch was %d, is %d", epoch, now)
	}
	l.done(l.run(nil))
	l.like()
}

// A bit of a generation flips in the bucket: a run whose copy is whole does not need
// it; where the copies are damaged too it goes back, says so, and tells nothing twice.
func TestFlippedOnS3(t *testing.T) {
	t.Parallel()
	e := newExactly(t, testserver.Kafka(t))
	for what, copies := range map[string]func(*testing.T, string){"copy": func(*testing.T, string) {}, "none": flipCopies} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			l := e.life(t, what)
			o := newOnS3(t, l.definition, l.brokers)
			folder, epoch, path := "", int64(0), ""
			for path == "" { // an epoch may have nothing of its own
				if p := o.bounded([]string{"HEXTIDE_TEST_CRASH=" + stream.CrashAfterCommit + "/2"}, "--group", l.group); p.wait() != -1 {
					t.Fatalf("it was not killed\n%s", p.err)
				}
				folder = o.copied()
				var files map[string]string
				epoch, files = newestFiles(t, folder)
				path = cmp.Or(files["shard"], files["partition"])
			}
			content, err := os.ReadFile(path)
			check(t, err)
			content = bytes.Clone(content)
			content[len(content)/2] ^= 1
			o.server.Change(t, "taxis/state"+strings.TrimPrefix(filepath.ToSlash(path), folder), content)
			copies(t, o.copies())
			last := o.bounded(nil, "--group", l.group)
			l.done(last)
			if back := strings.Contains(last.err.String(), fmt.Sprintf("damaged=%d goes_back_to=%d", epoch, epoch-1)); back != (what == "none") {
				t.Errorf("it said\n%s", last.err)
			}
			o.like(l.undisturbed, l.want)
			l.told(o.copied())
		})
	}
}
