package statebackend

import (
	"context"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Whatever a pointer file holds, with and without the right checksum, opening the
// folder ends, with a pointer or with an error; and what is read as a pointer is
// the same when it is written again.
func FuzzPointer(f *testing.F) {
	for _, text := range []string{"", "{}", "null", `{"version":2}`, `{"version":2,"epoch":1,"sinks":{"a":"AA=="},"counts":{"read":-1},"source":[1]}`} {
		f.Add([]byte(text), true)
		f.Add([]byte(text), false)
	}
	f.Fuzz(func(t *testing.T, content []byte, sealed bool) {
		if sealed {
			content = fmt.Appendf(nil, `{"checksum":%q,"pointer":%s}`, checksum(content), content)
		}
		fs := vfs.NewMem()
		folder := Open(NewFolder(fs, "state"), Options{Pipeline: "p"})
		if err := makeDir(fs, "state/pointers"); err != nil {
			t.Fatal(err)
		}
		if err := writeAtomic(fs, "state/pointers", "1.json", content); err != nil {
			t.Fatal(err)
		}
		if _, p, err := begin(context.Background(), folder); err == nil && p != nil {
			for _, o := range p.Generations {
				_ = folder.Read(context.Background(), "shard/0", o, func(_, _ []byte) error { return nil })
			}
			p.Epoch = 2
			if err := folder.Commit(context.Background(), p); err != nil {
				t.Fatal(err)
			}
			if again, err := folder.Pointer(context.Background(), 2); err != nil || len(again.Generations) != len(p.Generations) || again.Counts != p.Counts {
				t.Fatal(again, err)
			}
		}
		if err := folder.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
