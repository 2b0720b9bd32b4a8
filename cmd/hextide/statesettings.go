package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hextide/hextide/statebackend"
	"github.com/hextide/hextide/stream"
	"github.com/spf13/pflag"
)

// defaultState is the folder of a state where none is named.
const defaultState = "hextide-state"

// copiesName is the folder, beside a state, of copies of its generations.
const copiesName = "copies"

// orphanGrace is how old an object in a bucket must be to be deleted, where no
// pointer ever named it: another process may be just committing it.
const orphanGrace = time.Hour

// stateSettings say where state is kept.
type stateSettings struct {
	address  string // a folder's path or s3://bucket/prefix
	endpoint string
	timeout  time.Duration
	local    string // of copies. Empty: defaultState beside a bucket, none beside a folder
	from     statebackend.From
}

func (s *stateSettings) add(f *pflag.FlagSet) {
	s.reach(f, "state", defaultState, "folder of checkpoints, or s3://bucket/prefix")
}

// reach adds the flags of the address and of how it is reached.
func (s *stateSettings) reach(f *pflag.FlagSet, name, otherwise, what string) {
	f.StringVar(&s.address, name, otherwise, what)
	f.StringVar(&s.endpoint, "s3-endpoint", "", "URL of the server of s3:// (default: Amazon's)")
	timeVar(f, &s.timeout, "s3-timeout", 30*time.Second, time.Millisecond, "how long a request to s3:// may stand still before it is tried again")
}

// addFrom adds the flags of what a run goes on from.
func (s *stateSettings) addFrom(f *pflag.FlagSet) {
	epochVar(f, &s.from.Epoch, "from-epoch", "go back, once, to an epoch that is kept ('hextide checkpoint ls'); later ones are set aside as savepoints")
	f.Var(&checked{&s.from.Savepoint, statebackend.SavepointName}, "from-savepoint", "go back, once, to a savepoint ('hextide savepoint ls'); epochs that are not before it are set aside as savepoints")
}

// bucketScheme begins the address of a state in a bucket.
const bucketScheme = "s3://"

func (s *stateSettings) inBucket() bool { return strings.HasPrefix(s.address, bucketScheme) }

// check refuses an address that names no store, and copies in the place of what they copy.
func (s *stateSettings) check() error {
	if s.from.Epoch != 0 && s.from.Savepoint != "" {
		return usagef("--from-epoch and --from-savepoint name two epochs: give one")
	}
	if s.mirrored() && sameFolder(s.local, s.address) {
		return usagef("--local %s is the folder of the state: name one on another disk", s.local)
	}
	_, err := s.store(s.address)
	return err
}

// mirrored tells that generations are kept in two folders.
func (s *stateSettings) mirrored() bool { return s.local != "" && !s.inBucket() }

// sameFolder compares paths.
func sameFolder(a, b string) bool {
	at, err := filepath.Abs(a)
	other, failed := filepath.Abs(b)
	return err == nil && failed == nil && at == other
}

// folder is where on this machine a run keeps what it must keep there: the state
// itself, or what is beside a bucket.
func (s *stateSettings) folder() string {
	if s.inBucket() {
		return cmp.Or(s.local, defaultState)
	}
	return s.address
}

// store names the store at an address. It reaches for nothing.
func (s *stateSettings) store(address string) (statebackend.Store, error) {
	if !strings.HasPrefix(address, bucketScheme) {
		if address == "" || strings.Contains(address, "://") || strings.HasPrefix(address, "s3:") {
			return nil, usagef("a state is kept in a folder or in s3://bucket/prefix, not in %q", address)
		}
		return statebackend.NewFolder(vfs.Default, address), nil
	}
	at, err := url.Parse(address)
	if err != nil || at.RawQuery != "" || at.Fragment != "" || at.User != nil {
		return nil, usagef("a state in a bucket is s3://bucket/prefix, not %q", address)
	}
	bucket, err := statebackend.NewS3(statebackend.S3Options{
		Bucket: at.Host, Prefix: strings.Trim(at.Path, "/"), Endpoint: s.endpoint, Timeout: s.timeout, Logger: slog.Default(),
		Region: cmp.Or(os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION")),
	})
	if err != nil {
		return nil, usagef("%w", err)
	}
	return bucket, nil
}

// readControl reads the control log of a state at an address.
func (s *stateSettings) readControl(ctx context.Context, address string) ([]stream.ControlEntry, error) {
	store, err := s.store(address)
	if err != nil {
		return nil, err
	}
	return statebackend.Open(store, statebackend.Options{}).ReadControl(ctx)
}

// claimedState is a state that this process owns, with what else it holds for it.
type claimedState struct {
	*statebackend.State
	control stream.ControlLog
	bucket  *statebackend.S3     // nil: the state is in a folder
	copies  *statebackend.Cached // nil: there are none
	local   statebackend.Lock    // of their folder
}

// beside is the folder beside the state in which copies are; empty: there is none.
func (s *stateSettings) beside() string {
	if s.inBucket() {
		return s.folder()
	}
	return s.local
}

// claim claims the folder of the state, and the one beside it, before anything in
// it is touched: it may be another process's.
func (s *stateSettings) claim(pipeline string) (*claimedState, error) {
	store, err := s.store(s.address)
	if err != nil {
		return nil, err
	}
	c := &claimedState{}
	options := statebackend.Options{Pipeline: pipeline, From: s.from, Logger: slog.Default()}
	if beside := s.beside(); beside != "" {
		if c.local, err = statebackend.NewFolder(vfs.Default, beside).Lock(); err != nil {
			return nil, err
		}
		copies := statebackend.NewFolder(vfs.Default, filepath.Join(beside, copiesName))
		switch in := store.(type) {
		case *statebackend.S3:
			c.bucket, options.Grace = in, orphanGrace
			c.copies = statebackend.NewCached(in, copies, slog.Default())
			store = c.copies
		case *statebackend.Folder:
			mirrored := statebackend.NewMirrored(in, copies, slog.Default())
			c.copies, store = mirrored.Cached, mirrored
		}
	}
	c.State = statebackend.Open(store, options)
	if err = c.Claim(); err == nil {
		c.control, err = c.OpenControl()
	}
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// close gives the state up.
func (c *claimedState) close() error {
	var errs []error
	if c.control != nil {
		errs = append(errs, c.control.Close())
	}
	errs = append(errs, c.Close())
	if c.local != nil {
		errs = append(errs, c.local.Close())
	}
	return errors.Join(errs...)
}
