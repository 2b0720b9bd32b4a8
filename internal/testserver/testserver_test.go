package testserver

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/hextide/hextide/internal/testserver.(*held).launch.func1"))
}

func TestSharedServersAnswer(t *testing.T) {
	client := kafkaClient(t, Kafka(t))
	if err := client.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	store := goredis.NewClient(&goredis.Options{Addr: Redis(t)})
	defer store.Close()
	if err := store.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if Redis(t) != store.Options().Addr {
		t.Error("a second call starts another server")
	}
}

func TestBrokerKeepsDataAndPort(t *testing.T) {
	broker := NewBroker(t)
	client := kafkaClient(t, broker.Addr())
	if _, err := kadm.NewClient(client).CreateTopic(t.Context(), 1, 1, nil, "kept"); err != nil {
		t.Fatal(err)
	}
	old := &kgo.Record{Topic: "kept", Value: []byte("a"), Timestamp: time.Unix(1211328000, 0)}
	if err := client.ProduceSync(t.Context(), old).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for _, end := range []func(){broker.Stop, broker.Kill} {
		end()
		if _, err := net.Dial("tcp", broker.Addr()); err == nil {
			t.Fatal("it still answers")
		}
		broker.Start()
		ends, err := kadm.NewClient(kafkaClient(t, broker.Addr())).ListEndOffsets(t.Context(), "kept")
		if err != nil {
			t.Fatal(err)
		}
		if end, _ := ends.Lookup("kept", 0); end.Offset != 1 {
			t.Fatalf("the topic ends at %d, not 1 (%v)", end.Offset, end.Err)
		}
	}
}

func TestRedisKeepsDataAndPort(t *testing.T) {
	server := NewRedis(t)
	client := goredis.NewClient(&goredis.Options{Addr: server.Addr()})
	defer client.Close()
	if err := client.Set(t.Context(), "kept", "a", 0).Err(); err != nil {
		t.Fatal(err)
	}
	for _, end := range []func(){server.Kill, server.Stop} {
		end()
		server.Start()
		if got, err := client.Get(t.Context(), "kept").Result(); err != nil || got != "a" {
			t.Fatalf("got %q, %v", got, err)
		}
	}
}

// TestNothingOutlivesAKill kills a test binary that holds servers, this one run
// again, and expects process and folder of each to go.
func TestNothingOutlivesAKill(t *testing.T) {
	if os.Getenv("HEXTIDE_TESTSERVER_VICTIM") != "" {
		victim(t)
	}
	c := exec.Command(os.Args[0], "-test.run=^TestNothingOutlivesAKill$")
	c.Env = append(os.Environ(), "HEXTIDE_TESTSERVER_VICTIM=1")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Process.Kill()
	_ = c.Wait() // killed, as it should be
	address, folder, _ := strings.Cut(strings.TrimSpace(line), " ")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		_, err := os.Stat(folder)
		connection, dialed := net.Dial("tcp", address)
		if errors.Is(err, fs.ErrNotExist) && dialed != nil {
			return
		}
		if dialed == nil {
			connection.Close()
		}
		select {
		case <-ctx.Done():
			t.Fatalf("left behind: %s (%v), %s (%v)", folder, err, address, dialed)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// victim prints where its server is, and waits to be killed.
func victim(t *testing.T) {
	server := NewRedis(t)
	if _, err := os.Stdout.WriteString(server.Addr() + " " + server.held.folder + "\n"); err != nil {
		t.Fatal(err)
	}
	select {}
}

func TestAServerThatCannotStartSaysWhy(t *testing.T) {
	if _, err := hold(redis, "REDIS_PORT=not-a-port"); err == nil || !strings.Contains(err.Error(), "starting redis: ") {
		t.Fatalf("got %v", err)
	}
}

func kafkaClient(t *testing.T, address string) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}
