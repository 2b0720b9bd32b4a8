package pipeline

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// Definitions and what is said of them. `load` prints the mistakes, or what the
// plan warns of; `plan` prints what `hextide plan` does.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			p, err := Load([]byte(d.Input), "a.yaml")
			switch {
			case err != nil:
				return err.Error() + "\n"
			case d.Cmd == "plan":
				return p.Describe()
			}
			var text strings.Builder
			fmt.Fprintf(&text, "valid, %d columns\n", len(p.Columns))
			for _, w := range p.Warnings {
				fmt.Fprintf(&text, "warning: %s\n", w)
			}
			return text.String()
		})
	})
}
