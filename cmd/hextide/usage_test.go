package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What cannot be meant is refused before anything is done, with exit code 2 and
// what was expected.
func TestUsage(t *testing.T) {
	t.Parallel()
	definition, _ := define(t, city)
	run := []string{"run", definition, "--brokers", "127.0.0.1:1"}
	refuses(t, []usage{
		{[]string{"nope"}, `no command "nope"`},
		{[]string{"backfil"}, `did you mean "backfill"?`},
		{[]string{"checkpoint", "nope"}, `hextide checkpoint has no command "nope"`},
		{[]string{"run"}, "one definition"},
		{append(run, "--shards", "0"), "it is at least 1"},
		{append(run, "--shards", "1000000"), "it is at most 4096"},
		{append(run, "--workers", "-1"), "it is at least 1"},
		{append(run, "--batch", "0"), "it is at least 1"},
		{append(run, "--keep", "-1h"), "it is at least 1s"},
		{append(run, "--flush", "-1s"), "it is at least 1ms"},
		{append(run, "--max-drift", "-1s"), "it is at least 1s"},
		{append(run, "--checkpoint-interval", "0s"), "it is at least 1ms"},
		{append(run, "--checkpoint-timeout", "-5s"), "it is at least 1ms"},
		{append(run, "--redis-waiting", "0"), "it is at least 1"},
		{append(run, "--checkpoint-failures", "0"), "it is at least 1"},
		{[]string{"status", "--timeout", "0s"}, "it is at least 1ms"},
		{append(run, "--redis-within", "0s"), "it is at least 1ms"},
		{append(run, "--kafka-tls-ca", "none.pem"), "need --kafka-tls"},
		{append(run, "--kafka-user", "u", "--kafka-password", "p"), "need --kafka-sasl"},
		{append(run, "--kafka-sasl", "foo"), "plain, scram-sha-256"},
		{append(run, "--control", "state"), "--control needs --bounded"},
		{append(run, "--out", "s3://b/p"), "it is a folder on this machine"},
		{append(run, "--from-epoch", "0"), "it is at least 1"},
		{append(run, "--from-savepoint", ""), "cannot name a savepoint"},
		{append(run, "--from-savepoint", "../pointers/1"), "cannot name a savepoint"},
		{append(run, "--state", "here", "--local", "./here"), "is the folder of the state: name one on another disk"},
		{append(run, "--state", "s3://states/p", "--s3-endpoint", "minio"), "an S3 endpoint is a URL"},
		{[]string{"diff", "kafka://127.0.0.1:1/rows", "out", "--kafka-tls-ca", "none.pem"}, "need --kafka-tls"},
		{[]string{"diff", "kafka://127.0.0.1:1/rows", "out", "--kafka-password", "p"}, "need --kafka-sasl"},
		{[]string{"diff", "kafka://127.0.0.1:1/rows", "out", "--kafka-sasl", "foo"}, "plain, scram-sha-256"},
		{[]string{"diff", "kafka://127.0.0.1:1", "out"}, "names no topic"},
		{append(run, "--grpc", "nonsense"), "an address like"},
		{append(run, "--http", "127.0.0.1:99999"), "a port is 0 to 65535"},
		{[]string{"simulate", "x.yaml", "--partitions", "0"}, "it is at least 1"},
		{[]string{"simulate", "x.yaml", "--speed", "-1"}, "it is at least 0"},
		{[]string{"demo", "--speed", "NaN"}, "it is no number"},
		{[]string{"get", "--timeout", "-1s", "89283082837ffff"}, "it is at least 1ms"},
		{[]string{"get", "north,south"}, "neither an H3 cell"},
	})
}

// usage is a command line that is refused, and what is said.
type usage struct {
	arguments []string
	says      string
}

func refuses(t *testing.T, lines []usage) {
	t.Helper()
	for _, c := range lines {
		p := do(t, exitUsage, c.arguments...)
		if !strings.Contains(p.err.String(), c.says) {
			t.Errorf("%v: %q is not in\n%s", c.arguments, c.says, p.err)
		}
	}
}

// The same, of where state is kept and how the feed is delivered.
func TestUsageOfState(t *testing.T) {
	t.Parallel()
	definition, _ := define(t, city)
	run := []string{"run", definition, "--brokers", "127.0.0.1:1"}
	refuses(t, []usage{
		{append(run, "--state", "s3://"), "with a bucket"},
		{append(run, "--state", "s3://b/p"), "Bucket name"},
		{append(run, "--state", "gs://b/p"), "a folder or in s3://bucket/prefix"},
		{append(run, "--state", "s3:/states/p"), "a folder or in s3://bucket/prefix"},
		{append(run, "--state", "s3://states/../p"), "has no . or .. in it"},
		{append(run, "--state", ""), "a folder or in s3://bucket/prefix"},
		{append(run, "--state", "s3://states/p", "--local", "s3://b/q"), "it is a folder on this machine"},
		{append(run, "--state", "s3://States/p"), "lower-case letters"},
		{append(run, "--state", "s3://my_states/p"), "lower-case letters"},
		{append(run, "--state", "s3://my..states/p"), "no dot beside a dot"},
		{append(run, "--state", "s3://-states/p"), "a letter or digit first"},
		{append(run, "--state", "s3://192.168.0.1/p"), "ip address"},
		{append(run, "--state", "s3://"+strings.Repeat("s", 64)+"/p"), "longer than 63"},
		{append(run, "--feed-delivery", atLeastOnce, "--group", "g"), "go with --feed-delivery exactly-once"},
		{append(run, "--feed-delivery", atLeastOnce, "--feed-buffer", "1MiB"), "go with --feed-delivery exactly-once"},
		{append(run, "--feed-delivery", atLeastOnce, "--feed-transaction-timeout", "5s"), "go with --feed-delivery exactly-once"},
	})
}

// Of all files beside a command hextide.yaml alone holds settings, not the program
// itself.
func TestProgramIsNoSettings(t *testing.T) {
	t.Parallel()
	c := exec.Command(hextide, "version")
	c.Dir = t.TempDir()
	if err := os.Symlink(hextide, filepath.Join(c.Dir, "hextide")); err != nil {
		t.Fatal(err)
	}
	if p := launch(t, c, nil); p.wait() != exitDone {
		t.Error(p.err)
	}
	if err := os.WriteFile(filepath.Join(c.Dir, "hextide.yaml"), []byte("nonsense: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	again := exec.Command(hextide, "version")
	again.Dir = c.Dir
	if p := launch(t, again, nil); p.wait() != exitUsage || !strings.Contains(p.err.String(), "no setting of any command") {
		t.Error(p.err)
	}
}
