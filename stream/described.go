package stream

import (
	"context"
	"encoding/json"
	"fmt"
)

// described is a source's description in the form that a pointer keeps it in. To
// make it may take as long as reading the input, so a run that has nothing to
// compare it with begins beside, and only its first checkpoint waits for it.
type described struct {
	text  json.RawMessage
	known chan struct{} // closed when text is there
}

// describe asks the source, unless that was done.
func (d *described) describe(ctx context.Context, s Source) error {
	select {
	case <-d.known:
		return nil
	default:
	}
	description, err := s.Describe(ctx)
	if err == nil {
		d.text, err = json.Marshal(description)
	}
	if err != nil {
		return fmt.Errorf("describing the source: %w", err)
	}
	close(d.known)
	return nil
}

// wait returns when the description is there.
func (d *described) wait(ctx context.Context) error {
	_, err := wait(ctx, d.known)
	return err
}
