package main

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/hextide/hextide/internal/testserver"
	"github.com/hextide/hextide/stream"
	"github.com/redis/go-redis/v9"
)

// A savepoint of a running pipeline is the checkpoint that it takes for it; it
// stays however many epochs follow, a run goes back to it, and what that gives up
// stays too. The rows are those of an undisturbed run, in Redis under new keys.
func TestSavepointOfRun(t *testing.T) {
	t.Parallel()
	definition, name := define(t, city, "sinks:", "sinks:\n  redis: {}")
	_, want := backfill(t, definition, []string{taxis})
	brokers := replayed(t, definition, name, taxis)
	server := testserver.NewRedis(t)
	state := filepath.Join(t.TempDir(), "state")
	run := func(more ...string) *process {
		return start(t, nil, append(busy(definition, brokers, state, server), more...)...)
	}
	first := run()
	_, http := first.address()
	first.measures(http, "a checkpoint", func(f figures) bool { return f["checkpoints_completed_total"] >= 1 })
	saved := saveEarly(t, state, http)
	first.measures(http, "five more checkpoints, and all read", func(f figures) bool {
		return f["checkpoints_completed_total"] >= 6 && f["rewinds"] == 0 && f["records_read_total"] >= float64(len(read(t))-1)
	})
	first.interrupt()
	if first.wait() != exitDone {
		t.Fatalf("exit code\n%s", first.err)
	}
	newest := lines(do(t, exitDone, "checkpoint", "ls", "--state", state).out.String(), name)
	if len(newest) != 4 || !strings.Contains(newest[0], "early") || strings.Fields(newest[0])[0] != saved {
		t.Fatalf("kept are %q", newest)
	}
	do(t, exitDone, "savepoint", "create", "--state", state) // of a run that has ended
	pairs := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer pairs.Close()
	before := pairs.Get(t.Context(), name).Val()
	again := run("--from-savepoint", "early")
	again.says("the run goes back")
	again.until("new keys in use", func() bool { return pairs.Get(t.Context(), name).Val() != before })
	if after := pairs.Get(t.Context(), name).Val(); strings.Split(after, ".")[0] != strings.Split(before, ".")[0] {
		t.Errorf("%s names %s, and named %s", name, after, before)
	}
	_, http = again.address()
	given, err := strconv.ParseFloat(strings.Fields(newest[3])[0], 64)
	check(t, err)
	again.measures(http, "all read, and no number kept of an epoch that was given up", func(f figures) bool {
		return f["rewinds"] == 1 && f["records_read_total"] >= float64(len(read(t))-1) && f["redis_waiting"] == 0 && f["checkpoint_epoch"] > given+3
	})
	again.interrupt()
	if again.wait() != exitDone {
		t.Fatalf("exit code\n%s", again.err)
	}
	agree(t, 1000, "kafka://"+brokers+"/"+name+".rows", want)
	listed := do(t, exitDone, "savepoint", "ls", "--state", state).out.String()
	if len(lines(listed, "aside-1-epoch-")) != 3 || len(lines(listed, "early")) != 1 || len(lines(listed, "epoch-"+strings.Fields(newest[3])[0])) != 2 {
		t.Errorf("kept are\n%s", listed)
	}
	once := run("--from-savepoint", "early")
	once.says("has gone back there before")
	once.address()
	once.interrupt()
	if once.wait() != exitDone || strings.Contains(once.err.String(), "the run goes back") {
		t.Errorf("the same flag again: exit code\n%s", once.err)
	}
	asideAndForgotten(t, state, strings.Fields(lines(listed, "aside-1-epoch-")[2])[1])
	goesNowhere(t, busy(definition, brokers, state, server))
}

// goesNowhere expects that a run cannot go back to what is not kept.
func goesNowhere(t *testing.T, run []string) {
	t.Helper()
	do(t, exitUsage, append(run, "--from-epoch", "1", "--from-savepoint", "x")...)
	complains(t, do(t, exitUsage, append(run, "--from-epoch", "999999")...), "keeps no epoch 999999")
	complains(t, do(t, exitUsage, append(run, "--from-savepoint", "nope")...), `"nope"`)
}

// asideAndForgotten looks at an epoch that savepoints alone hold, and forgets the
// savepoint "early", once.
func asideAndForgotten(t *testing.T, state, epoch string) {
	t.Helper()
	if shown := do(t, exitDone, "checkpoint", "show", epoch, "--state", state).out.String(); !strings.Contains(shown, `"epoch": `+epoch) {
		t.Errorf("shown is\n%s", shown)
	} else if !strings.Contains(shown, ` bytes"`) {
		t.Errorf("no size of a sink's state in\n%s", shown)
	}
	complains(t, do(t, exitFailed, "checkpoint", "rm", epoch, "--state", state), "hextide savepoint rm")
	do(t, exitDone, "state", "export", "--epoch", epoch, "--state", state, "--out", filepath.Join(t.TempDir(), "exported"))
	do(t, exitDone, "savepoint", "rm", "early", "--state", state)
	complains(t, do(t, exitUsage, "savepoint", "rm", "early", "--state", state), "hextide savepoint ls")
	do(t, exitUsage, "savepoint", "rm", "../pointers/"+epoch, "--state", state)
}

// busy are the arguments of a run with many checkpoints.
func busy(definition, brokers, state string, redis *testserver.RedisServer) []string {
	return []string{"run", definition, "--brokers", brokers, "--shards", "8", "--state", state, "--redis", redis.Addr(),
		"--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--batch", "100", "--checkpoint-interval", "50ms", "--checkpoint-min-pause", "1ms"}
}

// saveEarly asks a run for a savepoint "early", and for some that cannot be, and
// returns its epoch.
func saveEarly(t *testing.T, state, http string) (epoch string) {
	t.Helper()
	said := do(t, exitDone, "savepoint", "create", "--state", state, "--name", "early", "--http", http).out.String()
	if !strings.Contains(said, "savepoint early: epoch ") {
		t.Fatalf("said is %s", said)
	}
	do(t, exitUsage, "savepoint", "create", "--state", state, "--name", "a/b")
	do(t, exitFailed, "savepoint", "create", "--state", state, "--http", "127.0.0.1:1")
	do(t, exitFailed, "savepoint", "create", "--state", state, "--name", "early", "--http", http)
	return strings.Fields(said)[3]
}

// A run that writes a snapshot goes back to an epoch before its newest, and ends as
// if undisturbed.
func TestFromEpoch(t *testing.T) {
	t.Parallel()
	definition, name := define(t, city)
	input := longer(t)
	undisturbed, want := backfill(t, definition, []string{input})
	brokers := replayed(t, definition, name, input)
	var state, out string
	bounded := func(variables []string, more ...string) *process {
		return start(t, variables, append([]string{"run", definition, "--brokers", brokers, "--shards", "8", "--state", state, "--bounded", "--out", out,
			"--group", name + "-" + filepath.Base(filepath.Dir(state)), "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--batch", "100", "--checkpoint-interval", "1ms", "--checkpoint-min-pause", "1ms"}, more...)...)
	}
	untilKilled(t, stream.CrashAfterCommit+"/4", func(variables []string) *process {
		state, out = filepath.Join(t.TempDir(), "state"), filepath.Join(t.TempDir(), "out")
		return bounded(variables)
	})
	last := bounded(nil, "--from-epoch", "2")
	if last.wait() != exitDone || !strings.Contains(last.err.String(), "the run goes back") {
		t.Fatalf("exit code\n%s", last.err)
	}
	if got := manifest(t, out); got.ContentHash != undisturbed.hash() || got.Counts != manifest(t, want).Counts {
		t.Errorf("%s %+v, undisturbed %s %+v", got.ContentHash, got.Counts, undisturbed.hash(), manifest(t, want).Counts)
	}
	filesListed(t, out)
	if aside := lines(do(t, exitDone, "checkpoint", "ls", "--state", state).out.String(), "aside-1-epoch-"); len(aside) != 2 {
		t.Errorf("set aside are %q", aside)
	}
}

// A copy under another name is a pipeline of its own, beside the original: it has
// its own feed and keys, only a definition of that name goes on from it, and its
// rows are the same. The original is as it was.
func TestCopyBesideProduction(t *testing.T) {
	t.Parallel()
	definition, name := define(t, city, "sinks:", "sinks:\n  redis: {}")
	input, group := longer(t), ""
	_, want := backfill(t, definition, []string{input})
	brokers := replayed(t, definition, name, input)
	redisServer := testserver.NewRedis(t)
	o := newOnS3(t, definition, brokers)
	run := func(variables []string, definition, state string, more ...string) *process {
		local := filepath.Join(o.folder, filepath.Base(state)+"-local")
		if strings.HasPrefix(state, bucketScheme) {
			more = append(more, "--local", local)
		}
		return start(t, o.variables(variables...), append(busy(definition, brokers, state, redisServer), append(more, "--bounded", "--keep", "4h")...)...)
	}
	untilKilled(t, stream.CrashAfterCommit+"/2", func(variables []string) *process {
		o.server, o.folder = testserver.NewS3(t), t.TempDir()
		group = name + "-" + filepath.Base(o.folder)
		return run(variables, definition, stateOnS3, "--group", group)
	})
	look := func(code int, arguments ...string) *process { return doWith(t, code, o.variables(), arguments...) }
	look(exitDone, "savepoint", "create", "--state", stateOnS3, "--name", "now")
	before := o.server.Objects(t)
	trial := rename(t, definition, "name: "+name, "name: "+name+"-trial")
	trial = rename(t, trial, "topic: "+name+".rows", "topic: "+name+"-trial.rows")
	folder := filepath.Join(o.folder, "copy")
	for _, to := range []string{folder, "s3://" + testserver.S3Bucket + "/copy"} {
		look(exitDone, "savepoint", "export", "now", "--state", stateOnS3, "--to", to, "--as", name+"-trial")
		look(exitFailed, "savepoint", "export", "now", "--state", stateOnS3, "--to", to)
	}
	others := t.TempDir()
	write(t, filepath.Join(others, "notes.txt"), []byte("mine"))
	complains(t, look(exitFailed, "savepoint", "export", "now", "--state", stateOnS3, "--to", others), "it holds what is of no state", "notes.txt")
	look(exitUsage, "savepoint", "export", "now", "--state", stateOnS3, "--to", filepath.Join(o.folder, "x"), "--as", "Not A Name")
	refused := func() {
		t.Helper()
		refusesOriginals(t, folder, definition, name, func(definition string) *process { return run(nil, definition, folder, "--group", name+"-refused") })
	}
	refused()
	for _, state := range []string{folder, "s3://" + testserver.S3Bucket + "/copy"} {
		if p := run(nil, trial, state, "--group", group+"-"+strings.NewReplacer("/", "-", ":", "-").Replace(state)); p.wait() != exitDone {
			t.Fatalf("exit code\n%s", p.err)
		}
	}
	refused()
	for path, content := range before {
		if now := o.server.Objects(t)[path]; string(now) != string(content) {
			t.Errorf("%s of the original is another", path)
		}
	}
	if p := run(nil, definition, stateOnS3, "--group", group); p.wait() != exitDone {
		t.Fatalf("exit code\n%s", p.err)
	}
	agree(t, manifest(t, want).Counts.Rows, "kafka://"+brokers+"/"+name+".rows", want)
	partOf(t, "kafka://"+brokers+"/"+name+"-trial.rows", "kafka://"+brokers+"/"+name+".rows")
	pairsApart(t, redisServer.Addr(), name)
}

// pairsApart expects that a pipeline and its copy each have their keys in Redis.
func pairsApart(t *testing.T, address, name string) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: address})
	defer client.Close()
	for _, key := range []string{name, name + "-trial"} {
		if pair := client.Get(t.Context(), key).Val(); !strings.HasSuffix(pair, ".1") && key == name || pair == "" {
			t.Errorf("%s names %q", key, pair)
		}
	}
}

// refusesOriginals expects that a copy under another name does not go on with the
// original's name, nor with its feed, and that nothing of it changes.
func refusesOriginals(t *testing.T, folder, definition, name string, run func(definition string) *process) {
	t.Helper()
	all := func() map[string]string {
		files := tree(t, folder)
		delete(files, filepath.Join(folder, "control.log")) // written anew, as it was, by each start
		return files
	}
	before := all()
	for definition, says := range map[string]string{definition: "savepoint export --as", rename(t, definition, "name: "+name, "name: "+name+"-trial"): "the topic " + name + ".rows"} {
		p := run(definition)
		if code := p.wait(); code != exitFailed {
			t.Errorf("exit code %d\n%s", code, p.err)
		}
		complains(t, p, says)
	}
	same(t, "after they were refused", before, all())
}

// partOf expects all rows of a feed that begins in the middle of a window's rows to
// be those of another.
func partOf(t *testing.T, part, whole string) {
	t.Helper()
	p := start(t, nil, "diff", part, whole)
	if p.wait() == exitDone {
		return // it begins between two windows
	}
	compared := p.out.String()
	var differ, all, onlyA, onlyB int64
	_, err := fmt.Sscanf(strings.Join(lines(compared, "rows differ of"), ""), "%d rows differ of %d compared", &differ, &all)
	_, other := fmt.Sscanf(strings.Join(lines(compared, "only in A:"), ""), "only in A: %d, only in B: %d", &onlyA, &onlyB)
	if err != nil || other != nil || all == 0 || differ == all || onlyA != 0 || onlyB != differ {
		t.Errorf("the copy's rows are others\n%s", compared)
	}
}
