package ingest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Cluster says how Kafka is reached.
type Cluster struct {
	Brokers  []string // host:port of some brokers; the others are found through them
	ClientID string   // how brokers' logs name this client; empty: hextide
	SASL     SASL
	TLS      TLS
}

// SASL is how a client proves who it is. The zero value: not at all.
type SASL struct {
	Mechanism string // plain, scram-sha-256 or scram-sha-512
	User      string
	Password  string
}

// TLS is how connections are encrypted. The zero value: not at all.
type TLS struct {
	Enabled    bool
	CAFile     string // PEM; empty: the system's authorities
	CertFile   string // PEM, with KeyFile: the client's certificate
	KeyFile    string
	ServerName string // empty: the broker's host
}

// Options are the client options of a cluster, for any franz-go client.
func (c Cluster) Options() ([]kgo.Opt, error) {
	if len(c.Brokers) == 0 {
		return nil, errors.New("no Kafka broker is named")
	}
	id := c.ClientID
	if id == "" {
		id = "hextide"
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...), kgo.ClientID(id),
		kgo.DialTimeout(5 * time.Second),
		kgo.RetryBackoffFn(backoff),
		kgo.MetadataMinAge(500 * time.Millisecond),
	}
	switch c.SASL.Mechanism {
	case "":
	case "plain":
		options = append(options, kgo.SASL(plain.Auth{User: c.SASL.User, Pass: c.SASL.Password}.AsMechanism()))
	case "scram-sha-256":
		options = append(options, kgo.SASL(scram.Auth{User: c.SASL.User, Pass: c.SASL.Password}.AsSha256Mechanism()))
	case "scram-sha-512":
		options = append(options, kgo.SASL(scram.Auth{User: c.SASL.User, Pass: c.SASL.Password}.AsSha512Mechanism()))
	default:
		return nil, fmt.Errorf("SASL mechanism %q is not known: plain, scram-sha-256 or scram-sha-512", c.SASL.Mechanism)
	}
	if c.TLS.Enabled {
		config, err := c.TLS.config()
		if err != nil {
			return nil, err
		}
		options = append(options, kgo.DialTLSConfig(config))
	}
	return options, nil
}

// backoff is how long to wait before try n of a request: 100 ms, doubling, up to 2 s.
func backoff(n int) time.Duration {
	return min(2*time.Second, 100*time.Millisecond<<min(n, 5))
}

// config reads the files.
func (t TLS) config() (*tls.Config, error) {
	config := &tls.Config{ServerName: t.ServerName, MinVersion: tls.VersionTLS12}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("reading the certificate authority for Kafka: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate in PEM", t.CAFile)
		}
	}
	if t.CertFile != "" || t.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("reading the client certificate for Kafka: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
