package models

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hextide/hextide/geo"
)

func ascending(cells []geo.Cell) []geo.Cell {
	slices.Sort(cells)
	return cells
}

// somewhere is 25 cells of San Francisco: some touch, some do not, several parents.
var somewhere = func() []geo.Cell {
	all := around(0x8828308287fffff, 120)
	var kept []geo.Cell
	for i, cell := range all {
		if i%3 != 1 {
			kept = append(kept, cell)
		}
	}
	return kept[:25]
}()

func newModel(t testing.TB, window time.Duration, zone string) *Demand {
	t.Helper()
	d, err := NewDemand(DemandOptions{Window: window, TimeZone: zone, Resolution: 8, Parent: 6})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// life is a city's random history: cells appear one after the other, rates differ, the feed falls
// silent now and then.
type life struct {
	random *rand.Rand
	window int64 // seconds
	end    int64 // seconds
	cells  []geo.Cell
	counts []int64
}

func newLife(seed uint64, window time.Duration) *life {
	random := rand.New(rand.NewPCG(seed, 1))
	l := &life{random: random, window: int64(window / time.Second)}
	l.end = (1_200_000_000 + random.Int64N(1e7)) / l.window * l.window
	return l
}

// next draws the next window and returns its end in µs.
func (l *life) next(t int) int64 {
	l.end += l.window
	l.cells, l.counts = l.cells[:0], l.counts[:0]
	if t%23 == 21 || t%29 == 28 {
		return l.end * 1e6
	}
	for i, cell := range somewhere {
		appears := (i * 7 % 25) * 2
		n := int64(l.random.ExpFloat64() * float64(i%5) * 3)
		if t >= appears && n > 0 {
			l.cells, l.counts = append(l.cells, cell), append(l.counts, n)
		}
	}
	return l.end * 1e6
}

var windows = []time.Duration{time.Hour, 6 * time.Hour, 24 * time.Hour}

// sameBits reports the first difference between the columns of two models.
func sameBits(t *rapid.T, a, b *Demand) {
	if !bytes.Equal(appendInOne(a, nil), appendInOne(b, nil)) {
		t.Fatalf("states differ after window %d", a.city.windows)
	}
	x, y := a.Outputs(), b.Outputs()
	floats := func(o *Outputs) [][]float64 { return [][]float64{o.Mu, o.Up, o.Down, o.UpStart, o.DownStart} }
	for i := range floats(x) {
		if !slices.EqualFunc(floats(x)[i], floats(y)[i], func(p, q float64) bool {
			return math.Float64bits(p) == math.Float64bits(q)
		}) {
			t.Fatalf("column %d differs after window %d", i, a.city.windows)
		}
	}
	if !slices.Equal(x.Lo, y.Lo) || !slices.Equal(x.Hi, y.Hi) || !slices.Equal(x.At, y.At) ||
		!slices.Equal(x.Miss, y.Miss) || !slices.Equal(x.MissValid, y.MissValid) {
		t.Fatalf("whole columns differ after window %d", a.city.windows)
	}
}

func TestRestoredModelGoesOnWithTheSameBits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		window := rapid.SampledFrom(windows).Draw(t, "window")
		options := DemandOptions{Window: window, TimeZone: "America/Los_Angeles", Resolution: 8, Parent: 6}
		straight, _ := NewDemand(options)
		broken, _ := NewDemand(options)
		l := newLife(rapid.Uint64().Draw(t, "seed"), window)
		total := min(2*straight.clock.week, 180) + 10
		cuts := rapid.SliceOfN(rapid.IntRange(0, total), 1, 6).Draw(t, "cuts")
		for step := range total {
			if slices.Contains(cuts, step) {
				state := whole(broken)
				if rapid.Bool().Draw(t, "in one part") {
					state = inOne(broken)
				}
				broken = restore(t, broken, rapid.Permutation(state).Draw(t, "order"))
				sameBits(t, straight, broken)
			}
			end := l.next(step)
			straight.Step(end, l.cells, l.counts)
			broken.Step(end, l.cells, l.counts)
		}
		sameBits(t, straight, broken)
		if straight.Score() != broken.Score() {
			t.Fatalf("scores %+v and %+v", straight.Score(), broken.Score())
		}
	})
}

func TestColumnsAreAsTheyShouldBe(t *testing.T) {
	for _, window := range windows {
		d, l := newModel(t, window, ""), newLife(5, window)
		for step := range min(3*d.clock.week, 700) {
			before := len(d.cells)
			silent := d.expected >= silentFeed
			end := l.next(step)
			d.Step(end, l.cells, l.counts)
			silent = silent && len(l.cells) == 0
			o := d.Outputs()
			known := 0
			for c := range d.cells {
				if c > 0 && d.cells[c-1] >= d.cells[c] {
					t.Fatalf("cells do not ascend")
				}
				if !(o.Mu[c] > 0) || !finite(o.Mu[c]) || o.Lo[c] < 0 || o.Lo[c] > o.Hi[c] || o.At[c] != end {
					t.Fatalf("%v, step %d: forecast %v in [%d, %d] at %d", window, step, o.Mu[c], o.Lo[c], o.Hi[c], o.At[c])
				}
				for _, p := range []float64{o.Up[c], o.Down[c], o.UpStart[c], o.DownStart[c]} {
					if !(p >= 0 && p <= 1) {
						t.Fatalf("%v, step %d: probability %v", window, step, p)
					}
				}
				if o.MissValid[c] {
					known++
				}
			}
			if want := before; !silent && known != want || silent && known != 0 {
				t.Fatalf("%v, step %d: %d cells judged of %d, silent %t", window, step, known, want, silent)
			}
		}
		if d.city.weights == startWeights || d.city.windowSpread == (spread{}) || d.city.runningSpread == (spread{}) {
			t.Errorf("%v: nothing was learnt after a week", window)
		}
	}
}

// A cell's miss rate stays within its bound whatever the counts do.
func TestMissRateBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, _ := NewDemand(DemandOptions{Window: time.Hour, Resolution: 8, Parent: 6})
		cells := somewhere[:3]
		draw := rapid.SampledFrom([]string{"constant", "jumps", "spite", "growth"}).Draw(t, "counts")
		windows := rapid.IntRange(50, 300).Draw(t, "windows")
		misses, judged := make([]float64, 3), 0.0
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 2))
		for step := range windows + 1 {
			counts := []int64{5, 1 + random.Int64N(30), 1}
			for c := range d.cells {
				switch draw {
				case "jumps":
					counts[c] = 1 + 400*random.Int64N(2)
				case "spite": // just outside, for a while
					counts[c] = min(d.Outputs().Hi[c], 200) + 1
				case "growth":
					counts[c] = int64(step)
				}
			}
			d.Step(int64(step+1)*3600e6, cells, counts)
			if step > 0 {
				judged++
				for c := range cells {
					misses[c] += float64(d.Outputs().Miss[c])
				}
			}
		}
		bound := (.5 + trackingStep) / (trackingStep * judged)
		for c, n := range misses {
			if math.Abs(n/judged-missRate) > bound+1e-12 {
				t.Fatalf("%s: cell %d missed %v of %v, bound %v", draw, c, n, judged, bound)
			}
		}
	})
}

// What a new cell has learnt is what a cell that was always there and silent would have.
func TestNewCellIsOneThatWasSilent(t *testing.T) {
	early, late := newModel(t, time.Hour, ""), newModel(t, time.Hour, "")
	late.Step(3600e6, somewhere[1:4], []int64{3, 1, 2})
	early.Step(3600e6, somewhere[1:4], []int64{3, 1, 2})
	early.join(somewhere[:1], 1)
	early.look(early.clock.at(3600))
	for step := 2; step < 300; step++ {
		cells, counts := somewhere[1:4], []int64{int64(step % 5), 1, 2}
		if step == 299 {
			cells, counts = somewhere[:4], []int64{7, 4, 1, 2}
		}
		early.Step(int64(step)*3600e6, cells, counts)
		late.Step(int64(step)*3600e6, cells, counts)
	}
	a, b := &early.states[0], &late.states[0]
	if early.cells[0] != late.cells[0] || a.level != b.level || !slices.Equal(a.week, b.week) || !slices.Equal(a.day, b.day) ||
		!slices.Equal(a.past, b.past) {
		t.Errorf("level %v and %v, tables differ", a.level, b.level)
	}
	if a.level != 7 {
		t.Errorf("level %v after the first events, want 7", a.level)
	}
	if early.city.exposure != late.city.exposure {
		t.Errorf("exposures %v and %v", early.city.exposure, late.city.exposure)
	}
	o := late.Outputs()
	if o.MissValid[0] || o.Up[0] != 1 || o.DownStart[0] != 1 || !(o.Mu[0] > 0) {
		t.Errorf("columns of a new cell: %v %v %v %v", o.MissValid[0], o.Up[0], o.DownStart[0], o.Mu[0])
	}
}

// Neighbours and parents do not depend on the order in which cells joined.
func TestJoiningOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, _ := NewDemand(DemandOptions{Window: time.Hour, Resolution: 8, Parent: 6})
		order := rapid.Permutation(somewhere).Draw(t, "order")
		for step := 1; len(order) > 0; step++ {
			n := rapid.IntRange(1, len(order)).Draw(t, "joining")
			batch := ascending(slices.Clone(order[:n]))
			order = order[n:]
			d.Step(int64(step)*3600e6, batch, slices.Repeat([]int64{1}, n))
		}
		if !slices.Equal(d.Cells(), somewhere) {
			t.Fatal("not the cells that joined")
		}
		for c, cell := range d.cells {
			var want []int32
			for other, near := range d.cells {
				if slices.Contains(cell.Neighbors(nil), near) {
					want = append(want, int32(other))
				}
				mine, _ := cell.Parent(6)
				theirs, _ := near.Parent(6)
				if (mine == theirs) != (d.states[c].parent == d.states[other].parent) {
					t.Fatalf("parents of cells %d and %d", c, other)
				}
			}
			if !slices.Equal(d.states[c].neighbours[:d.states[c].degree], want) {
				t.Fatalf("neighbours of cell %d: %v, want %v", c, d.states[c].neighbours[:d.states[c].degree], want)
			}
		}
	})
}

func TestSilentFeedTeachesNothing(t *testing.T) {
	d := newModel(t, 15*time.Minute, "")
	cells := somewhere[:4]
	end := int64(0)
	for range 42 { // ends in the middle of an hour
		end += 900e6
		d.Step(end, cells, []int64{9, 9, 9, 9})
	}
	before, columns := *d, slices.Clone(d.Outputs().Up)
	state, week := d.states[0], slices.Clone(d.states[0].week)
	d.Step(end+900e6, nil, nil)
	now := &d.states[0]
	if now.level != state.level || !slices.Equal(now.week, week) || now.quantile != state.quantile || now.hour != state.hour ||
		d.city.exposure != before.city.exposure || d.Score() != before.Score() {
		t.Error("a silent window was learnt")
	}
	if now.own[0].came != d.decay.cell[0]*state.own[0].came || d.city.ratios[0].expected != .5*before.city.ratios[0].expected {
		t.Error("the ratios did not fade")
	}
	if d.Outputs().MissValid[0] || !slices.Equal(d.Outputs().Up, columns) || d.city.windows != before.city.windows+1 {
		t.Error("columns of a silent window")
	}
	d.Step(end+1800e6, cells[:1], []int64{1}) // a nearly silent one is learnt as it is
	if d.city.exposure == before.city.exposure || d.states[3].level >= state.level {
		t.Error("a partly silent window was not learnt")
	}
}

// The largest count there can be leaves every column finite, and a state that is taken back.
func TestAbsurdCountStaysFinite(t *testing.T) {
	for _, absurd := range []int64{1000, 1e6, 1 << 53} {
		d := newModel(t, time.Hour, "")
		cells := somewhere[:5]
		for step := 1; step < 220; step++ {
			counts := []int64{3, 4, 5, 6, 7}
			if step == 200 {
				counts[2] = absurd
			}
			d.Step(int64(step)*3600e6, cells, counts)
			for c, mu := range d.Outputs().Mu {
				if !finite(mu) || mu <= 0 || d.Outputs().Hi[c] < d.Outputs().Lo[c] {
					t.Fatalf("step %d after %d: forecast %v, [%d, %d]", step, absurd, mu, d.Outputs().Lo[c], d.Outputs().Hi[c])
				}
			}
		}
		t.Logf("%d: %v, r %v, w %v", absurd, d.Outputs().Mu, d.city.windowSpread.size(), d.city.weights)
		restore(t, d, whole(d))
	}
}

func TestStepDoesNotAllocate(t *testing.T) {
	city := newSynthetic(100, time.Hour)
	d := newModel(t, time.Hour, "Europe/Berlin")
	var cells []geo.Cell
	var counts []int64
	step := 0
	once := func() {
		step++
		cells, counts = city.counts(step, cells[:0], counts[:0])
		d.Step(int64(step)*3600e6, cells, counts)
	}
	for range 300 {
		once()
	}
	if n := testing.AllocsPerRun(50, once); n != 0 {
		t.Errorf("%v allocations a step", n)
	}
}
