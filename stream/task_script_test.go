package stream

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/hextide/hextide/exact"
)

// script drives ingest tasks and the minimum over them by hand. Times are in
// seconds. Panes are 10 s long, 5 s out of order is allowed.
//
//	tasks [n=1] [allowed=0] [span=0] [bounded]   makes them
//	events [p=0]                                 lines: time key [value [place]]
//	flush | leave | join | end | restart  [p=0]
type script struct {
	in      *intake
	tasks   []*Task
	minimum *minimum
	read    []int
	out     Ingested
}

func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		s := &script{}
		datadriven.RunTest(t, path, s.run)
	})
}

func (s *script) run(t *testing.T, d *datadriven.TestData) string {
	number := func(key string, n int) int {
		d.MaybeScanArgs(t, key, &n)
		return n
	}
	if d.Cmd == "tasks" {
		s.in = testIntake(t, int64(number("allowed", 0))*second, int64(number("span", 0))*second)
		s.in.measures = s.in.measures[:1]
		n := number("n", 1)
		s.minimum = newMinimum(s.in.pane, s.in.allowed, s.in.widest, d.HasArg("bounded"), n)
		s.tasks, s.read = nil, make([]int, n)
		for p := range n {
			s.tasks = append(s.tasks, newTask(s.in, int32(p), TaskOptions{From: NoTime}))
		}
		return ""
	}
	p := number("p", 0)
	task := s.tasks[p]
	switch d.Cmd {
	case "events":
		events := s.parse(t, d.Input)
		task.Batch(makeBatch(events, s.read[p]), &s.out)
		s.read[p] += len(events)
	case "flush":
		task.Flush(&s.out)
	case "leave":
		leaves := task.LeaveWatermark()
		task.Leave(&s.out)
		if leaves != task.Watermark() {
			t.Fatalf("left with %d, said %d", task.Watermark(), leaves)
		}
	case "join":
		task.Join(s.minimum.global(), &s.out)
	case "restart":
		saved := task.Save(Everything).Entries()
		task = newTask(s.in, int32(p), TaskOptions{From: NoTime})
		if err := task.Restore(saved); err != nil {
			return err.Error()
		}
		s.tasks[p], s.out.Watermark = task, task.Passed()
	case "end":
		end, all := s.minimum.end(p)
		if !all {
			return "others are not at their end\n"
		}
		return s.end(end)
	default:
		t.Fatalf("no command %q", d.Cmd)
	}
	return s.show(p)
}

func (s *script) end(end int64) string {
	lines := fmt.Sprintf("the input ends at %s\n", seconds(end))
	for p, task := range s.tasks {
		task.End(end, &s.out)
		lines += s.show(p)
	}
	return lines
}

func (s *script) parse(t *testing.T, input string) (events []testEvent) {
	for line := range strings.Lines(input) {
		f := strings.Fields(line)
		at, err := strconv.ParseFloat(f[0], 64)
		if err != nil {
			t.Fatal(err)
		}
		e := testEvent{time: int64(at * float64(second)), key: f[1], lat: 10, lng: 10}
		if len(f) > 2 {
			if e.value, err = strconv.ParseInt(f[2], 10, 64); err != nil {
				t.Fatal(err)
			}
		}
		if len(f) > 3 {
			if e.lat, err = strconv.ParseFloat(f[3], 64); err != nil {
				t.Fatal(err)
			}
		}
		events = append(events, e)
	}
	return events
}

// show prints what partition p has left and how far all are.
func (s *script) show(p int) string {
	var b strings.Builder
	for _, d := range s.out.Dead {
		fmt.Fprintf(&b, "dead   record %d: %s\n", d.Position, d.Reason)
	}
	for _, l := range s.out.Late {
		fmt.Fprintf(&b, "late   record %d: at %s, pane to %s, watermark %s\n", l.Position, seconds(l.Time), seconds(l.PaneEnd), seconds(l.Watermark))
	}
	panes := map[int64]exact.Int128{}
	for _, q := range s.out.Partials {
		for i := range q.Cells {
			if !q.Halo {
				panes[q.Pane] = panes[q.Pane].Add(q.Measures[0].Sum(i))
			}
		}
	}
	var starts []int64
	for start := range panes {
		starts = append(starts, start)
	}
	slices.Sort(starts)
	for _, start := range starts {
		fmt.Fprintf(&b, "pane   %s: %v events\n", seconds(start), panes[start])
	}
	task := s.tasks[p]
	w := s.out.Watermark
	idle := ""
	if w.Idle {
		idle = ", idle"
	}
	fmt.Fprintf(&b, "passes provisional %s, final %s%s; watermark %s\n", seconds(w.Provisional), seconds(w.Final), idle, seconds(task.Watermark()))
	s.minimum.set(p, w, task.Watermark(), task.Accepted())
	fmt.Fprintf(&b, "all    provisional %s, final %s\n", seconds(s.minimum.provisional), seconds(s.minimum.final))
	s.out.Reset()
	return b.String()
}

func seconds(t int64) string {
	if t == NoTime {
		return "none"
	}
	return strconv.FormatFloat(float64(t)/float64(second), 'f', -1, 64)
}
