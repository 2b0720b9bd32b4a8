package simulation

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hextide/hextide/statebackend"
)

// store keeps objects as S3 does: whole or not at all, and at once for all.
type store struct {
	*world
	objects map[string]stored
	skew    time.Duration // of its clock
}

type stored struct {
	content  []byte
	modified time.Time
}

// access is a process's way to the store.
type access struct{ *process }

var _ statebackend.Store = access{}

// String is what people call the store.
func (a access) String() string { return "the simulated store" }

// Get returns an object's content.
func (a access) Get(ctx context.Context, name string) (content []byte, err error) {
	err = a.call(ctx, "get "+name, a.faults, func() error {
		o, there := a.store.objects[name]
		if !there {
			return fmt.Errorf("%s: %w", name, fs.ErrNotExist)
		}
		content = bytes.Clone(o.content)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return content, nil
}

// Put makes an object.
func (a access) Put(ctx context.Context, name string, content []byte) error {
	content = bytes.Clone(content)
	return a.call(ctx, "put "+name, a.faults, func() error {
		a.store.put(name, content)
		return nil
	})
}

func (s *store) put(name string, content []byte) {
	s.objects[name] = stored{content, time.Now().Add(s.skew)}
}

// Create makes an object where there is none.
func (a access) Create(ctx context.Context, name string, content []byte) error {
	content = bytes.Clone(content)
	return a.call(ctx, "create "+name, a.faults, func() error {
		if _, there := a.store.objects[name]; there {
			return fmt.Errorf("%s: %w", name, fs.ErrExist)
		}
		a.store.put(name, content)
		a.noteClaim(name)
		return nil
	})
}

// noteClaim notes who owns the state.
func (a access) noteClaim(name string) {
	var n int64
	if _, err := fmt.Sscanf(name, "incarnations/%d", &n); err == nil && n > a.claimed {
		a.world.claimed = n
		a.note("process %d is incarnation %d", a.number, n)
	}
}

// List lists the objects below a folder.
func (a access) List(ctx context.Context, folder string) (all []statebackend.Listed, err error) {
	err = a.call(ctx, "list "+folder, a.faults, func() error {
		for _, name := range slices.Sorted(maps.Keys(a.store.objects)) {
			if o := a.store.objects[name]; strings.HasPrefix(name, folder+"/") {
				all = append(all, statebackend.Listed{Name: name, Size: int64(len(o.content)), Modified: o.modified})
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// Delete removes objects: each of them, or some where it fails.
func (a access) Delete(ctx context.Context, names ...string) error {
	for _, name := range names {
		err := a.call(ctx, "delete "+name, a.faults, func() error {
			delete(a.store.objects, name)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
