package stream

import (
	"context"
	"encoding/json"
	"fmt"
)

// described is a source's description in the form that a pointer keeps it in. To
// make it may take as long as to read what was not read yet, so a run that has
// nothing to compare it with asks when its first checkpoint needs it.
type described struct{ text json.RawMessage }

// describe asks the source, unless that was done.
func (d *described) describe(ctx context.Context, s Source) error {
	if d.text != nil {
		return nil
	}
	description, err := s.Describe(ctx)
	if err == nil {
		d.text, err = json.Marshal(description)
	}
	if err != nil {
		return fmt.Errorf("describing the source: %w", err)
	}
	return nil
}
