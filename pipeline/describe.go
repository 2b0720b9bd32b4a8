package pipeline

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/column"
)

// diskSize is the number of cells within grid distance k.
func diskSize(k int) int { return 1 + 3*k*(k+1) }

// Describe says what the plan computes and what that costs.
func (p *Plan) Describe() string {
	var text strings.Builder
	out := tabwriter.NewWriter(&text, 0, 4, 2, ' ', 0)
	line := func(key, format string, values ...any) {
		fmt.Fprintf(out, "%s\t%s\n", key, fmt.Sprintf(format, values...))
	}
	line("pipeline", "%s", p.Name)
	line("plan", "%s", p.Hash)
	line("cells", "H3 resolution %d, rings %v, parents %v", p.Grid.Resolution, p.Grid.Rings, p.Grid.Parents)
	line("territories", "resolution %d, %d regions", max(0, p.Grid.Resolution-territoryDepth), len(p.Grid.Regions))
	line("windows", "%s, of panes of %s", windowsText(p), FormatDuration(p.Pane))
	line("rows", "%s", p.rowsText())
	line("delay", "%s", p.delayText())
	line("state", "%s", p.stateText())
	for _, cost := range p.extremumCosts() {
		line("cost", "%s", cost)
	}
	for _, w := range p.Warnings {
		line("warning", "%s", w)
	}
	fmt.Fprintf(out, "\nCOLUMN\tTYPE\tWHAT\n")
	for _, c := range p.Columns {
		kind := "int64"
		if c.Kind == column.Float {
			kind = "float64"
		}
		fmt.Fprintf(out, "%s\t%s\t%s\n", c.Name, kind, c.Description)
	}
	_ = out.Flush() // a strings.Builder takes everything
	return text.String()
}

func (p *Plan) rowsText() string {
	if !p.Grid.Neighborhood {
		return fmt.Sprintf("each pane, one for every cell with an event of its own in the last %s", FormatDuration(p.WidestWindow()))
	}
	return fmt.Sprintf("each pane, one for every cell with an event within grid distance %d in the last %s: one event touches %d cells for %d panes",
		p.WidestRing(), FormatDuration(p.WidestWindow()), diskSize(p.WidestRing()), p.WidestWindow()/p.Pane)
}

func (p *Plan) delayText() string {
	s := p.Source
	if s.Dedup != nil {
		return fmt.Sprintf("a window is emitted once, final, when the watermark is %s past the end of its dedup span of %s",
			FormatDuration(s.AllowedLateness), FormatDuration(s.Dedup.Within))
	}
	if s.AllowedLateness == 0 {
		return fmt.Sprintf("a window is emitted once, final, when an event %s past its end has come", FormatDuration(s.OutOfOrder))
	}
	return fmt.Sprintf("a window is emitted when an event %s past its end has come, and again %s later where late events changed it",
		FormatDuration(s.OutOfOrder), FormatDuration(s.AllowedLateness))
}

// stateText estimates the state of one active cell.
func (p *Plan) stateText() string {
	measures := len(p.Layout.Measures)
	pane := 8 * (measures + 2) // a cell's entry in one pane
	running := 8*measures*len(p.Windows) + 24
	text := fmt.Sprintf("%d bytes for a cell and pane with events, kept for %s; %d bytes for an active cell", pane, FormatDuration(p.WidestWindow()), running)
	if d := p.Source.Dedup; d != nil {
		text += fmt.Sprintf("; the winners of each open dedup span (with --memory, the newest %s of them stay in memory)", FormatDuration(d.Within))
	}
	for _, m := range p.Models {
		day := int(24 * time.Hour / m.Window())
		text += fmt.Sprintf("; %d bytes for a cell that %s knows", 8*(7*day+2*day)+150, m.Name)
	}
	return text
}

// extremumCosts says what min and max over rings cost: unlike sums they grow
// with the ring.
func (p *Plan) extremumCosts() []string {
	var costs []string
	for _, a := range p.Layout.Aggregates {
		if p.Layout.Measures[a.Measures[0]].Kind == aggregate.Sum || p.WidestRing() == 0 {
			continue
		}
		costs = append(costs, fmt.Sprintf("%s compares up to %d cells for each row and window, where a sum reads 6 numbers whatever the ring",
			a.Name, diskSize(p.WidestRing())))
	}
	return costs
}
