package main

import (
	"crypto/tls"
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hextide/hextide/ingest"
	"github.com/hextide/hextide/pipeline"
	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"
)

// kafkaSettings say how Kafka is reached.
type kafkaSettings struct {
	cluster ingest.Cluster
	topic   string // instead of the definition's
}

func (s *kafkaSettings) add(c *cobra.Command) {
	f := c.Flags()
	f.StringSliceVar(&s.cluster.Brokers, "brokers", nil, "Kafka brokers, host:port")
	f.StringVar(&s.topic, "topic", "", "use this topic instead of the definition's")
	s.secure(c)
}

// secure adds the flags of TLS and SASL.
func (s *kafkaSettings) secure(c *cobra.Command) {
	f := c.Flags()
	f.BoolVar(&s.cluster.TLS.Enabled, "kafka-tls", false, "connect to Kafka over TLS")
	f.StringVar(&s.cluster.TLS.CAFile, "kafka-tls-ca", "", "PEM file of the authorities that may sign the brokers' certificates")
	f.StringVar(&s.cluster.TLS.CertFile, "kafka-tls-cert", "", "PEM file of the client's certificate")
	f.StringVar(&s.cluster.TLS.KeyFile, "kafka-tls-key", "", "PEM file of the client's key")
	f.StringVar(&s.cluster.SASL.Mechanism, "kafka-sasl", "", "plain, scram-sha-256 or scram-sha-512")
	f.StringVar(&s.cluster.SASL.User, "kafka-user", "", "user of SASL")
	f.StringVar(&s.cluster.SASL.Password, "kafka-password", "", "password of SASL (better: HEXTIDE_KAFKA_PASSWORD)")
}

// named is the topic that a plan's source reads.
func (s *kafkaSettings) named(plan *pipeline.Plan) (string, error) {
	if len(s.cluster.Brokers) == 0 {
		return "", usagef("no Kafka brokers: --brokers host:port, or HEXTIDE_BROKERS")
	}
	if err := s.check(); err != nil {
		return "", err
	}
	if s.topic != "" {
		return s.topic, nil
	}
	if plan.Source.Topic == "" {
		return "", usagef("the definition names no topic (source.topic): --topic names one")
	}
	return plan.Source.Topic, nil
}

var saslMechanisms = []string{"plain", "scram-sha-256", "scram-sha-512"}

// check refuses what would be read by nobody: a password that goes nowhere is
// believed to protect something.
func (s *kafkaSettings) check() error {
	tls, sasl := &s.cluster.TLS, &s.cluster.SASL
	switch {
	case !tls.Enabled && (tls.CAFile != "" || tls.CertFile != "" || tls.KeyFile != ""):
		return usagef("--kafka-tls-ca, --kafka-tls-cert and --kafka-tls-key need --kafka-tls")
	case sasl.Mechanism == "" && (sasl.User != "" || sasl.Password != ""):
		return usagef("--kafka-user and --kafka-password need --kafka-sasl")
	case sasl.Mechanism != "" && !slices.Contains(saslMechanisms, sasl.Mechanism):
		return usagef("--kafka-sasl is %s, not %q", strings.Join(saslMechanisms, ", "), sasl.Mechanism)
	}
	return nil
}

// redisSettings say how Redis is reached.
type redisSettings struct {
	addresses []string
	user      string
	password  string
	database  int
	tls       bool
	waiting   int
	within    time.Duration
}

func (s *redisSettings) add(c *cobra.Command) {
	f := c.Flags()
	f.StringSliceVar(&s.addresses, "redis", nil, "Redis, host:port; several are a cluster")
	f.StringVar(&s.user, "redis-user", "", "user of Redis")
	f.StringVar(&s.password, "redis-password", "", "password of Redis (better: HEXTIDE_REDIS_PASSWORD)")
	f.IntVar(&s.database, "redis-database", 0, "number of the database")
	f.BoolVar(&s.tls, "redis-tls", false, "connect to Redis over TLS")
	wholeVar(f, &s.waiting, "redis-waiting", 1_000_000, 1, math.MaxInt, "entities whose newest row may wait while Redis is away")
	timeVar(f, &s.within, "redis-within", time.Minute, time.Millisecond, "how long a bounded run waits while Redis takes no rows, before it fails")
}

func (s *redisSettings) client() (redis.UniversalClient, error) {
	if len(s.addresses) == 0 {
		return nil, usagef("the definition has a Redis sink: --redis host:port, or HEXTIDE_REDIS")
	}
	options := &redis.UniversalOptions{
		Addrs: s.addresses, Username: s.user, Password: s.password, DB: s.database,
		DialTimeout: 2 * time.Second, ReadTimeout: 2 * time.Second, WriteTimeout: 2 * time.Second, MaxRetries: -1,
	}
	if s.tls {
		options.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return redis.NewUniversalClient(options), nil
}

// servingSettings say where a run listens and what it keeps.
type servingSettings struct {
	grpc, http, pprof string
	keep              time.Duration
	keepMemory        byteSize
}

func (s *servingSettings) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&s.grpc, "grpc", "127.0.0.1:8780", "where to serve gRPC (empty: nowhere)")
	f.StringVar(&s.http, "http", "127.0.0.1:8781", "where to serve the page, HTTP/JSON, metrics and probes (empty: nowhere)")
	f.StringVar(&s.pprof, "pprof", "", "where to serve profiles (empty: nowhere)")
	timeVar(f, &s.keep, "keep", 2*time.Hour, time.Second, "event time that the serving store keeps behind the frontier")
	s.keepMemory = 1 << 30
	f.Var(&s.keepMemory, "keep-memory", "memory of the rows that the serving store keeps and of their index; the newest window end stays whatever it takes")
}

// check refuses addresses that nobody can listen on.
func (s *servingSettings) check() error {
	for _, a := range [][2]string{{"grpc", s.grpc}, {"http", s.http}, {"pprof", s.pprof}} {
		if a[1] == "" {
			continue
		}
		_, port, err := net.SplitHostPort(a[1])
		if err != nil {
			return usagef("--%s is an address like 127.0.0.1:8780, not %q", a[0], a[1])
		}
		if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
			return usagef("--%s %s: a port is 0 to 65535", a[0], a[1])
		}
	}
	return nil
}

// byteSize is a number of bytes with a unit.
type byteSize int64

var byteUnits = []struct {
	suffix string
	bytes  int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// String prints the size in the greatest unit that divides it.
func (b *byteSize) String() string {
	for _, u := range byteUnits {
		if *b != 0 && int64(*b)%u.bytes == 0 {
			return fmt.Sprintf("%d%s", int64(*b)/u.bytes, u.suffix)
		}
	}
	return "0B"
}

// Set reads "512MiB".
func (b *byteSize) Set(text string) error {
	for _, u := range byteUnits {
		var n int64
		var rest string
		if count, _ := fmt.Sscanf(text, "%d%s", &n, &rest); count == 2 && rest == u.suffix && n >= 0 && n <= (1<<62)/u.bytes {
			*b = byteSize(n * u.bytes)
			return nil
		}
	}
	return fmt.Errorf("%q is no size: a number and B, KiB, MiB or GiB", text)
}

// Type names the flag's value in help.
func (b *byteSize) Type() string { return "size" }
