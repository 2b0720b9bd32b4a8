package statebackend

import (
	"context"
	"time"
)

// Store keeps small and large objects by name. Names are paths with slashes. An
// object is there as a whole or not at all, and what a call has made durable every
// later call sees, from whichever process. All methods may be called from several
// goroutines at once.
type Store interface {
	// Get returns an object's content; of one that is not there, fs.ErrNotExist.
	Get(ctx context.Context, name string) ([]byte, error)
	// Put makes an object durable, in place of one that has the name.
	Put(ctx context.Context, name string, content []byte) error
	// Create makes an object durable where none has the name, else fs.ErrExist. Of
	// several at once one succeeds. A call that failed otherwise may have made it.
	Create(ctx context.Context, name string, content []byte) error
	// List returns all objects below a folder, at any depth, ascending by name.
	List(ctx context.Context, folder string) ([]Listed, error)
	// Delete removes objects; one that is not there is no error.
	Delete(ctx context.Context, names ...string) error
	// String is what people call the store: a path or an address.
	String() string
}

// Listed is what a list says of an object.
type Listed struct {
	Name     string
	Size     int64
	Modified time.Time // by the store's clock
}

// exclusive is a Store that one process at a time may own.
type exclusive interface {
	// Lock makes the store where it is missing and holds it until it is closed.
	Lock() (Lock, error)
}

// Lock is held by one process until it is closed.
type Lock interface{ Close() error }
