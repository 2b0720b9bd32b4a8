package stream

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/hextide/hextide/pipeline"
)

var nameLine = regexp.MustCompile(`(?m)^name:.*$`)

// Original is a pipeline that a state was copied from under another name.
type Original struct {
	Pipeline string `json:"pipeline"`
	Feed     string `json:"feed,omitempty"` // its topic
}

// Belongs refuses a plan that the state is not of, and one whose feed is that of a
// pipeline which the state was copied from. It goes by the pointer alone, so a run can
// ask before it touches anything.
func (p *Pointer) Belongs(plan *pipeline.Plan) error {
	if p.Pipeline != plan.Name {
		return fmt.Errorf("%w: it is the state of %q, this definition is named %q: to go on under another name, copy it ('hextide savepoint export --as %s')", ErrMismatch, p.Pipeline, plan.Name, plan.Name)
	}
	if feed := plan.Sinks.Feed; feed != nil {
		if o := p.original(feed.Topic); o != nil {
			return fmt.Errorf("%w: it is a copy of the state of %q, whose feed is the topic %s, and this definition's feed is that topic too: give it one of its own (sinks: feed: topic), or none", ErrMismatch, o.Pipeline, o.Feed)
		}
	}
	return nil
}

// original is the pipeline that the state was copied from whose feed is a topic; nil:
// there is none.
func (p *Pointer) original(topic string) *Original {
	for i := range p.Originals {
		if p.Originals[i].Feed == topic {
			return &p.Originals[i]
		}
	}
	return nil
}

// Rename makes the pointer that of another pipeline, whose definition differs in
// its name alone. It forgets what the sinks knew of the outputs of the first, and
// remembers where those are; but a copy that gets its original's name back takes the
// original's place, and its feed with it.
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
	original := Original{Pipeline: p.Pipeline}
	if feed := plan.Sinks.Feed; feed != nil && p.original(feed.Topic) == nil { // else it is a copy that has not run
		original.Feed = feed.Topic
	}
	p.Originals = slices.DeleteFunc(append(p.Originals, original), func(o Original) bool { return o.Pipeline == name })
	p.Pipeline, p.PlanHash, p.Definition = name, plan.Hash, plan.Text
	p.Sinks, p.Visibility = nil, Visibility{}
	return nil
}
