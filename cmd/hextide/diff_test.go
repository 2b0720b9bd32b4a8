package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Snapshots are compared by their hashes where one has no files, and one whose
// rows are not its manifest's is called damaged.
func TestDiffWithoutRows(t *testing.T) {
	definition, _ := define(t, city)
	input := csvFile(t, read(t)[:2000])
	_, whole := backfill(t, definition, []string{input})
	_, none := backfill(t, definition, []string{input}, "--no-files")
	_, less := backfill(t, definition, []string{csvFile(t, read(t)[:1000])})
	hash := manifest(t, whole).ContentHash
	p := do(t, exitDone, "diff", whole, none)
	for _, want := range []string{"--no-files", "A " + whole + "  content_hash " + hash, "B " + none + "  content_hash " + hash} {
		if !strings.Contains(p.out.String(), want) {
			t.Errorf("no %q in\n%s", want, p.out)
		}
	}
	complains(t, do(t, exitFailed, "diff", none, less), "content_hash is not the same")
	path := filepath.Join(whole, "_MANIFEST.json")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, []byte(strings.Replace(string(content), hash, strings.Repeat("0", 32), 1)))
	complains(t, do(t, exitFailed, "diff", whole, whole), whole+" is damaged", hash, strings.Repeat("0", 32))
}

// A broker that asks who is there is told.
func TestDiffSASL(t *testing.T) {
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "rows"), kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "ann", "secret"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	feed := "kafka://" + broker.ListenAddrs()[0] + "/rows"
	arguments := []string{"diff", feed, feed, "--kafka-sasl", "scram-sha-256", "--kafka-user", "ann"}
	const empty = "it holds no schema" // read, and nothing in it
	complains(t, doWith(t, exitFailed, []string{"HEXTIDE_KAFKA_PASSWORD=secret"}, arguments...), empty)
	if p := doWith(t, exitFailed, []string{"HEXTIDE_KAFKA_PASSWORD=wrong"}, arguments...); strings.Contains(p.err.String(), empty) {
		t.Errorf("a wrong password reads the feed:\n%s", p.err)
	}
}
