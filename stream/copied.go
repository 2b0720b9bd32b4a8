package stream

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/hextide/hextide/pipeline"
)

var nameLine = regexp.MustCompile(`(?m)^name:.*$`)

// Rename makes the pointer that of another pipeline, whose definition differs in
// its name alone. It forgets what the sinks knew of the outputs of the first.
func (p *Pointer) Rename(name string) error {
	if p.Definition == "" {
		return errors.New("the state does not hold its definition, as one of an older program: run it until a checkpoint is committed")
	}
	plan, err := pipeline.Load(nameLine.ReplaceAll([]byte(p.Definition), []byte("name: "+name)), "the renamed definition")
	if err == nil && plan.Name != name {
		err = errors.New("its definition has no line that begins with 'name:'")
	}
	if err != nil {
		return fmt.Errorf("renaming %s to %s: %w", p.Pipeline, name, err)
	}
	p.Pipeline, p.PlanHash, p.Definition = name, plan.Hash, plan.Text
	p.Sinks, p.Visibility = nil, Visibility{}
	return nil
}
