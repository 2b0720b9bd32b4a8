package statebackend

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hextide/hextide/stream"
	"pgregory.net/rapid"
)

// A chain gives what all its generations come to, whatever failed in between and
// whoever goes on with it; a reader of it reads at most twice what it gets.
func TestChainIsItsGenerations(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ctx, fs := context.Background(), vfs.NewMem()
		open := func() *State {
			s := Open(NewFolder(fs, "state"), Options{Pipeline: "p"})
			_, err := s.Start(ctx)
			if err == nil {
				_, err = s.GoOn(ctx, nil)
			}
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		s := open()
		want, chain := map[string]string{}, stream.Chain(nil)
		epochs := rapid.Int64Range(1, 50).Draw(t, "epochs")
		for epoch := int64(1); epoch <= epochs; epoch++ {
			g, next := drawGeneration(t, want)
			g.Chain = chain
			if len(chain) > 0 && rapid.IntRange(0, 30).Draw(t, "whole") == 0 {
				g.Chain, g.Removed = nil, nil
				next = map[string]string{}
				for _, e := range g.Entries {
					next[string(e.Key)] = string(e.Value)
				}
			}
			written, err := s.Write(ctx, epoch, g)
			if err != nil {
				t.Fatal(err)
			}
			if rapid.IntRange(0, 5).Draw(t, "fails") == 0 {
				continue
			}
			chain, want = written, next
			comesTo(t, s, chain, want)
			p := &stream.Pointer{Epoch: epoch, Incarnation: s.incarnation, Generations: map[string]stream.Chain{"shard/0": chain}}
			if err := s.Commit(ctx, p); err != nil {
				t.Fatal(err)
			}
			if rapid.IntRange(0, 9).Draw(t, "restart") == 0 {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = open()
				comesTo(t, s, chain, want)
			}
		}
	})
}

// drawGeneration draws changes to entries, and what these come to.
func drawGeneration(t *rapid.T, of map[string]string) (*stream.Generation, map[string]string) {
	g, next := &stream.Generation{Owner: "shard/0"}, maps.Clone(of)
	for _, key := range slices.Sorted(maps.Keys(of)) {
		if rapid.IntRange(0, 5).Draw(t, "remove") == 0 {
			g.Removed = append(g.Removed, []byte(key))
			delete(next, key)
		}
	}
	for range rapid.IntRange(1, 6).Draw(t, "entries") {
		key := fmt.Sprint("k", rapid.IntRange(0, 30).Draw(t, "key"))
		if slices.ContainsFunc(g.Removed, func(k []byte) bool { return string(k) == key }) ||
			slices.ContainsFunc(g.Entries, func(e stream.Entry) bool { return string(e.Key) == key }) {
			continue
		}
		next[key] = rapid.StringN(0, 40, -1).Draw(t, "value")
		g.Entries = append(g.Entries, stream.Entry{Key: []byte(key), Value: []byte(next[key])})
	}
	return g, next
}

func comesTo(t *rapid.T, s *State, chain stream.Chain, want map[string]string) {
	got, live, before := map[string]string{}, int64(0), ""
	err := s.Read(context.Background(), "shard/0", chain, func(key, value []byte) error {
		if string(key) <= before {
			t.Fatalf("%q after %q", key, before)
		}
		before = string(key)
		got[before] = string(value)
		live += int64(len(key) + len(value))
		return nil
	})
	if err != nil || !maps.Equal(got, want) {
		t.Fatalf("%v\n%v\nnot\n%v", err, got, want)
	}
	read := int64(0)
	for _, o := range chain {
		read += o.Bytes
	}
	if last := chain[len(chain)-1]; last.Live != live || read > 2*live && len(chain) > 1 || len(chain) > maxDeltas+1 {
		t.Fatalf("%d objects of %d bytes for %d, told as %d", len(chain), read, live, last.Live)
	}
}

// Owners whose chains began together and change alike get new bases at different
// epochs, none later than where a reader would read twice what it gets.
func TestBasesAreSpread(t *testing.T) {
	const owners, live = 64, 1 << 20
	at := map[int64]int{}
	for i := range owners {
		owner, read := fmt.Sprintf("shard/%d", i), int64(live)
		for epoch := int64(1); ; epoch++ {
			if read += live / 16; rebase(owner, read, live) {
				at[epoch]++
				break
			}
			if read > maxReadRatio*live {
				t.Fatalf("%s has no new base where %d bytes are read for %d", owner, read, live)
			}
		}
	}
	for epoch, bases := range at {
		if epoch < 8 || bases > owners/3 {
			t.Errorf("%d of %d bases at epoch %d", bases, owners, epoch)
		}
	}
}

// A pointer of the time when every generation was a base is read as chains of one.
func TestPointerOfSingleObjects(t *testing.T) {
	var p stream.Pointer
	text := `{"version":2,"generations":{"shard/1":{"name":"a","size":3,"checksum":"c"}}}`
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	if c := p.Generations["shard/1"]; len(c) != 1 || c[0].Name != "a" || c.Size() != 3 {
		t.Fatalf("%+v", p)
	}
}
