package models

import (
	"compress/gzip"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/hextide/hextide/geo"
)

// trace is a reference run of the model; testdata/README.md says where it comes from.
type trace struct {
	Zone       string
	WindowS    int64 `json:"window_s"`
	T0         int64
	Cells      []string
	Parents    []string `json:"parent_res6"`
	Neighbours [][]int
	Counts     [][]int64
	Outputs    []traceWindow
	Clock      []struct {
		Zone    string
		Start   int64
		Day     int `json:"slot_of_day"`
		Weekday int `json:"weekday_monday_0"`
		Week    int `json:"slot_of_week"`
		Table   int `json:"day_table"`
	}
	Final traceFinal
}

// traceWindow is one window of the trace.
type traceWindow struct {
	Window int
	Start  int64
	Week   int   `json:"slot_of_week"`
	Table  int   `json:"day_table"`
	Joined []int // the cells that have a forecast
	Silent bool
	traceForecast
	traceVerdict
}

// traceForecast is what was known before the window, of its joined cells.
type traceForecast struct {
	W       []float64
	S, U    []float64
	Lam, Mu []float64
	R       float64
	Q       []float64
	Lo, Hi  []float64
	X       [][]float64
}

// traceVerdict is what was said of the window when it had closed.
type traceVerdict struct {
	V, Score    []float64
	Hour        []int      `json:"hour_cells"`
	HourR       [2]float64 `json:"hour_r"`
	RunningUp   []float64  `json:"running_up"`
	RunningDown []float64  `json:"running_down"`
	StartUp     []float64  `json:"start_up"`
	StartDown   []float64  `json:"start_down"`
}

type traceFinal struct {
	A              []float64   `json:"a"`
	B              float64     `json:"b"`
	W              []float64   `json:"w"`
	Curvature      [][]float64 `json:"A"`
	Dispersion     [2]float64
	DispersionHour [2][2]float64 `json:"dispersion_hour"`
	Q              []float64
	City           [][2]float64
	Ring, Cell     [][2][]float64
}

func loadTrace(t *testing.T, path string) *trace {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	// The curvature "A" and the level "a" differ in case only, which encoding/json would take for the
	// same field if both did not have a field of their own.
	var tr trace
	if err := json.NewDecoder(unzipped).Decode(&tr); err != nil {
		t.Fatal(err)
	}
	return &tr
}

// traceCheck compares numbers and counts how many it saw.
type traceCheck struct {
	t      *testing.T
	window int
	seen   int
}

// close compares to rel 1e-9 of at least 1, as the vectors' README says.
func (c *traceCheck) close(what string, got, want float64) {
	c.t.Helper()
	c.seen++
	if !(math.Abs(got-want) <= 1e-9*max(1, math.Abs(want))) {
		c.t.Fatalf("window %d: %s is %v, want %v", c.window, what, got, want)
	}
}

// tight compares probabilities and rates relative to themselves.
func (c *traceCheck) tight(what string, got, want float64) {
	c.t.Helper()
	c.seen++
	if !(math.Abs(got-want) <= 1e-9*math.Abs(want)) {
		c.t.Fatalf("window %d: %s is %v, want %v", c.window, what, got, want)
	}
}

func (c *traceCheck) exact(what string, got, want int64) {
	c.t.Helper()
	c.seen++
	if got != want {
		c.t.Fatalf("window %d: %s is %d, want %d", c.window, what, got, want)
	}
}

// TestTrace runs the model over the reference windows and compares every intermediate. With
// HEXTIDE_SHARED it runs the full file of that folder instead of the slice kept here.
func TestTrace(t *testing.T) {
	path := filepath.Join("testdata", "demand_trace.json.gz")
	if shared := os.Getenv("HEXTIDE_SHARED"); shared != "" {
		path = filepath.Join(shared, "vectors", "demand_default_trace.json.gz")
	}
	tr := loadTrace(t, path)
	d, err := NewDemand(DemandOptions{Window: time.Duration(tr.WindowS) * time.Second, TimeZone: tr.Zone, Resolution: 8, Parent: 6})
	if err != nil {
		t.Fatal(err)
	}
	cells := make([]geo.Cell, len(tr.Cells))
	for i, text := range tr.Cells {
		cells[i] = parseCell(t, text)
	}
	outputs := map[int]*traceWindow{}
	for i := range tr.Outputs {
		outputs[tr.Outputs[i].Window] = &tr.Outputs[i]
	}
	check := &traceCheck{t: t}
	for w, counts := range tr.Counts {
		check.window = w
		want := outputs[w]
		if want != nil {
			checkBefore(check, d, tr, want, cells)
		}
		start := tr.T0 + int64(w)*tr.WindowS
		var touched []geo.Cell
		var positive []int64
		for i, n := range counts {
			if n > 0 {
				touched, positive = append(touched, cells[i]), append(positive, n)
			}
		}
		before := scores(d, want, cells, counts, start+tr.WindowS)
		d.Step((start+tr.WindowS)*1e6, touched, positive)
		if want != nil {
			checkAfter(check, d, want, cells, before)
		}
	}
	checkFinal(check, d, tr, cells)
	t.Logf("%d numbers compared", check.seen)
}

func parseCell(t *testing.T, text string) geo.Cell {
	t.Helper()
	value, err := strconv.ParseUint(text, 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return geo.Cell(value)
}

// checkBefore compares the forecast of a window before it is closed.
func checkBefore(check *traceCheck, d *Demand, tr *trace, want *traceWindow, cells []geo.Cell) {
	check.t.Helper()
	s := d.clock.at(want.Start)
	check.exact("slot of week", int64(s.week), int64(want.Week))
	check.exact("day table", int64(s.table(d.clock)), int64(want.Table))
	check.exact("number of cells", int64(len(d.cells)), int64(len(want.Joined)))
	for i, w := range want.W {
		check.close("a weight", d.city.weights[i], w)
	}
	check.tight("r", d.city.windowSpread.size(), want.R)
	check.tight("r of the hour", d.city.runningSpread.size(), want.HourR[0])
	check.tight("r of the hour's start", d.city.startSpread.size(), want.HourR[1])
	for i, joined := range want.Joined {
		check.exact("a cell", int64(d.cells[i]), int64(cells[joined]))
		f := &d.ahead[i]
		check.tight("s", f.day, want.S[i])
		check.tight("u", f.week, want.U[i])
		check.tight("lambda", f.profile, want.Lam[i])
		check.tight("mu", f.mean, want.Mu[i])
		check.tight("mu of the columns", d.outputs.Mu[i], want.Mu[i])
		check.close("q", d.states[i].quantile, want.Q[i])
		check.exact("lo", d.outputs.Lo[i], int64(want.Lo[i]))
		check.exact("hi", d.outputs.Hi[i], int64(want.Hi[i]))
		check.exact("at", d.outputs.At[i], want.Start*1e6)
		check.close("v", jitter(d.cells[i], want.Start+tr.WindowS), want.V[i])
		if len(want.X) > 0 {
			for j, x := range want.X[i] {
				check.close("a feature", f.x[j], x)
			}
		}
	}
}

// scores are the interval scores that a window's counts have under the forecast.
func scores(d *Demand, want *traceWindow, cells []geo.Cell, counts []int64, end int64) []float64 {
	if want == nil {
		return nil
	}
	size := d.city.windowSpread.size()
	all := make([]float64, len(want.Joined))
	for i, joined := range want.Joined {
		all[i] = newNegativeBinomial(d.ahead[i].mean, size).surprise(counts[joined], jitter(cells[joined], end))
	}
	return all
}

// checkAfter compares what is said of a window that has closed.
func checkAfter(check *traceCheck, d *Demand, want *traceWindow, cells []geo.Cell, before []float64) {
	check.t.Helper()
	at := map[geo.Cell]int{}
	for i, cell := range d.cells {
		at[cell] = i
	}
	for i, joined := range want.Joined {
		c := at[cells[joined]]
		if want.Silent {
			if d.outputs.MissValid[c] {
				check.t.Fatalf("window %d: a silent window is judged", want.Window)
			}
			continue
		}
		check.close("a score", before[i], want.Score[i])
		miss := int64(0)
		if want.Score[i] > want.Q[i] {
			miss = 1
		}
		if !d.outputs.MissValid[c] {
			check.t.Fatalf("window %d: a forecast is not judged", want.Window)
		}
		check.exact("miss", d.outputs.Miss[c], miss)
	}
	for i, cell := range want.Hour {
		c := at[cells[cell]]
		check.tight("up", d.outputs.Up[c], want.RunningUp[i])
		check.tight("down", d.outputs.Down[c], want.RunningDown[i])
		check.tight("up from the start", d.outputs.UpStart[c], want.StartUp[i])
		check.tight("down from the start", d.outputs.DownStart[c], want.StartDown[i])
		delete(at, cells[cell])
	}
	for _, c := range at { // joined within the hour
		check.close("up of a new cell", d.outputs.Up[c]+d.outputs.Down[c]+d.outputs.UpStart[c]+d.outputs.DownStart[c], 4)
	}
}

// checkFinal compares the state at the end.
func checkFinal(check *traceCheck, d *Demand, tr *trace, cells []geo.Cell) {
	check.t.Helper()
	final := &tr.Final
	check.close("b", d.city.exposure, final.B)
	for i, w := range final.W {
		check.close("w", d.city.weights[i], w)
		for j := range i + 1 {
			check.close("A", d.city.curvature[i*(i+1)/2+j], final.Curvature[i][j])
		}
	}
	for i, s := range []spread{d.city.windowSpread, d.city.runningSpread, d.city.startSpread} {
		want := append([][2]float64{final.Dispersion}, final.DispersionHour[:]...)[i]
		check.close("U", s.squares, want[0])
		check.close("V", s.excess, want[1])
	}
	for i, r := range final.City {
		check.close("a city's ratio", d.city.ratios[i].came, r[0])
		check.close("a city's ratio", d.city.ratios[i].expected, r[1])
	}
	for c := range cells {
		s := &d.states[c]
		check.close("a", s.level, final.A[c])
		check.close("q", s.quantile, final.Q[c])
		for i := range s.ring {
			check.close("a ring's ratio", s.ring[i].came, final.Ring[i][0][c])
			check.close("a ring's ratio", s.ring[i].expected, final.Ring[i][1][c])
		}
		for i := range s.own {
			check.close("a cell's ratio", s.own[i].came, final.Cell[i][0][c])
			check.close("a cell's ratio", s.own[i].expected, final.Cell[i][1][c])
		}
		check.exact("number of neighbours", int64(s.degree), int64(len(tr.Neighbours[c])))
		for i, n := range tr.Neighbours[c] {
			check.exact("a neighbour", int64(s.neighbours[i]), int64(n))
		}
		for other := range cells {
			same := tr.Parents[c] == tr.Parents[other]
			if same != (s.parent == d.states[other].parent) {
				check.t.Fatalf("cells %d and %d: parents", c, other)
			}
		}
	}
}

func TestClockOfTrace(t *testing.T) {
	tr := loadTrace(t, filepath.Join("testdata", "demand_trace.json.gz"))
	for _, c := range tr.Clock {
		zone, err := loadZone(c.Zone)
		if err != nil {
			t.Fatal(err)
		}
		clock := newClock(zone, 15*time.Minute)
		s := clock.at(c.Start)
		if s.day != c.Day || s.week != c.Week || s.week/clock.day != c.Weekday || s.table(clock) != c.Table {
			t.Errorf("%s at %d: %+v, want %+v", c.Zone, c.Start, s, c)
		}
	}
	if len(tr.Clock) == 0 {
		t.Error("no moments to compare")
	}
}
