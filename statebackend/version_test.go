package statebackend

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A pointer of a newer version is refused, whatever it holds: it is not damaged, and
// nobody goes back behind it.
func TestNewerPointerIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	s := Open(NewFolder(fs, "state"), Options{})
	if _, err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for epoch := range int64(2) {
		if err := commit(s, epoch+1); err != nil {
			t.Fatal(err)
		}
	}
	text := fmt.Appendf(nil, `{"version":%d,"epoch":2,"generations":["of another type"]}`, PointerVersion+1)
	content, err := json.Marshal(sealed{Checksum: checksum(text), Pointer: text})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.store.Put(t.Context(), pointerName(2), content); err != nil {
		t.Fatal(err)
	}
	p, err := s.GoOn(t.Context(), nil)
	if err == nil || errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), fmt.Sprint("version ", PointerVersion+1)) || !strings.Contains(err.Error(), "newer one") {
		t.Errorf("%+v, %v", p, err)
	}
}
