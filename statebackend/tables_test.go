package statebackend

import (
	"bytes"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hextide/hextide/stream"
	"pgregory.net/rapid"
)

func openTables(t testing.TB, fs vfs.FS, dir string) *Tables {
	t.Helper()
	tables, err := OpenTables(fs, dir, 1<<20, nil)
	if err != nil {
		t.Fatal(err)
	}
	return tables
}

// A table holds what a map holds, whatever other owners do, and the caller's
// buffers stay the caller's.
func TestTableIsAMap(t *testing.T) {
	tables := openTables(t, vfs.NewMem(), "scratch")
	defer tables.Close()
	rapid.Check(t, func(t *rapid.T) {
		owners := []string{"shard/1", "shard/10", "partition/1"}
		table, want := map[string]stream.Table{}, map[string]map[string][]byte{}
		for _, o := range owners {
			table[o], want[o] = tables.Table(o), map[string][]byte{}
		}
		defer func() {
			for _, o := range owners {
				for key := range want[o] {
					if err := table[o].Delete([]byte(key)); err != nil {
						t.Fatal(err)
					}
				}
			}
		}()
		keys := rapid.SampledFrom([]string{"", "a", "ab", "b", "\x00", "\xff\xff"})
		for range rapid.IntRange(1, 60).Draw(t, "turns") {
			o, key := rapid.SampledFrom(owners).Draw(t, "owner"), []byte(keys.Draw(t, "key"))
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				value := bytes.Repeat([]byte(rapid.StringN(0, 5, -1).Draw(t, "value")), rapid.SampledFrom([]int{1, 100, 200_000}).Draw(t, "times"))
				want[o][string(key)] = bytes.Clone(value)
				if err := table[o].Set(key, value); err != nil {
					t.Fatal(err)
				}
				clear(value)
			case 1:
				delete(want[o], string(key))
				if err := table[o].Delete(key); err != nil {
					t.Fatal(err)
				}
			}
			value, known := want[o][string(key)]
			got, err := table[o].Get([]byte("before"), key)
			if known != (err == nil) || known && !bytes.Equal(got, append([]byte("before"), value...)) {
				t.Fatalf("%s has %d bytes under %q, error %v; want %v, %d bytes", o, len(got)-len("before"), key, err, known, len(value))
			}
		}
	})
}

// Nothing outlives the process that wrote it, whether it closed its tables or not.
func TestTablesBeginEmpty(t *testing.T) {
	for _, closed := range []bool{false, true} {
		fs := vfs.NewMem()
		tables := openTables(t, fs, "scratch")
		if err := tables.Table("shard/1").Set([]byte("key"), make([]byte, 3<<20)); err != nil {
			t.Fatal(err)
		}
		left := fs
		if !closed {
			if err := tables.store.Flush(); err != nil {
				t.Fatal(err)
			}
			left = vfs.NewMem()
			if _, err := vfs.Clone(fs, left, "scratch", "scratch"); err != nil {
				t.Fatal(err)
			}
		}
		if err := tables.Close(); err != nil {
			t.Fatal(err)
		}
		if names, err := fs.List("scratch"); err == nil && len(names) > 0 {
			t.Fatalf("the folder still holds %q", names)
		}
		again := openTables(t, left, "scratch")
		if _, err := again.Table("shard/1").Get(nil, []byte("key")); err == nil {
			t.Fatal("a value outlived its process")
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
