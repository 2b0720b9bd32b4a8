//go:build cgo

package geo

import (
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	h3 "github.com/uber/h3-go/v4"
	"pgregory.net/rapid"
)

// oracleRows gathers: for every own cell near a source the sum of each ring over h3-go's grid disk,
// [ring][word]. Those for which word exists over the widest ring is 0 under the mask are left out.
func oracleRows(tb testing.TB, w world, rings []int, values map[Cell][]uint64, e Exists) map[Cell][][]uint64 {
	widest := rings[len(rings)-1]
	rows := map[Cell][][]uint64{}
	for source, words := range values {
		for _, c := range oracleDisk(tb, source, widest) {
			if w.t.Of(c) == w.id && rows[c] == nil {
				rows[c] = oracleSums(tb, c, rings, values, len(words))
			}
		}
	}
	for c, sums := range rows {
		if sums[len(rings)-1][e.Word]&e.Mask == 0 {
			delete(rows, c)
		}
	}
	return rows
}

func oracleSums(tb testing.TB, c Cell, rings []int, values map[Cell][]uint64, words int) (sums [][]uint64) {
	near, err := h3.GridDiskDistances(h3.Cell(c), rings[len(rings)-1])
	if err != nil {
		tb.Fatal(err)
	}
	for _, k := range rings {
		sum := make([]uint64, words)
		for _, ring := range near[:k+1] {
			for _, d := range ring {
				for i, v := range values[Cell(d)] {
					sum[i] += v
				}
			}
		}
		sums = append(sums, sum)
	}
	return sums
}

// spread makes sources of values, in no special order.
func (w world) spread(tb testing.TB, values map[Cell][]uint64, shown int) (Sources, []Cell) {
	s := Sources{Shown: shown}
	var cells []Cell
	for c := range values {
		cells = append(cells, c)
	}
	slices.Sort(cells)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(cells), func(i, j int) { cells[i], cells[j] = cells[j], cells[i] })
	for _, c := range cells {
		at, ok := w.frame.Position(c)
		if !ok {
			tb.Fatalf("%x has no position", uint64(c))
		}
		s.At = append(s.At, at)
		s.Values = append(s.Values, values[c]...)
		s.Words = len(values[c])
	}
	return s, cells
}

// drawValues draws sources in and around a territory: some places, each with a patch of cells.
func drawValues(t *rapid.T, tb testing.TB, w world, words int) map[Cell][]uint64 {
	values := map[Cell][]uint64{}
	for range rapid.IntRange(0, 4).Draw(t, "patches") {
		patch := oracleDisk(tb, w.drawOwn(t), rapid.IntRange(0, 3).Draw(t, "radius"))
		for _, c := range patch {
			if rapid.IntRange(0, 2).Draw(t, "empty") == 0 || !w.sees(tb, c) {
				continue
			}
			v := make([]uint64, words)
			for i := range v {
				// Often 0 or opposite, so that sums vanish where there are sources.
				v[i] = rapid.SampledFrom([]uint64{0, 1, 2, 1<<64 - 1, 1 << 63, 1 << 21, 0x123456789abcdef}).Draw(t, "value")
			}
			values[c] = v
		}
	}
	return values
}

// count makes what the mask leaves of a word a small count, often 0, with nothing below it.
func (e Exists) count(v uint64) uint64 {
	lane := bits.TrailingZeros64(e.Mask)
	return v&^(e.Mask|1<<lane-1) | v%3<<lane
}

// sees reports whether a cell is in the territory or its halo.
func (w world) sees(tb testing.TB, c Cell) bool {
	return slices.ContainsFunc(oracleDisk(tb, c, w.t.WidestRing()), func(near Cell) bool { return w.t.Of(near) == w.id })
}

func drawRings(t *rapid.T) []int {
	rings := rapid.SliceOfNDistinct(rapid.IntRange(0, 6), 1, 4, rapid.ID[int]).Draw(t, "rings")
	slices.Sort(rings)
	return rings
}

// checkRows holds all blocks against the rows that the oracle has.
func checkRows(d *Disks, b *Block, want map[Cell][][]uint64, shown int) error {
	last, rows := Cell(0), 0
	for d.Fill(b, rows) {
		if b.First != rows || len(b.Cells) > BlockRows {
			return fmt.Errorf("block of %d rows begins with row %d after %d rows", len(b.Cells), b.First, rows)
		}
		for i, c := range b.Cells {
			if c <= last {
				return fmt.Errorf("cell %x after %x", uint64(c), uint64(last))
			}
			last = c
			sums, ok := want[c]
			if !ok {
				return fmt.Errorf("cell %x is a row", uint64(c))
			}
			for ring := range sums {
				for w := range shown {
					if got := b.Column(ring, w)[i]; got != sums[ring][w] {
						return fmt.Errorf("cell %x, ring %d, word %d: sum %d, want %d", uint64(c), ring, w, got, sums[ring][w])
					}
				}
			}
			rows++
		}
	}
	if rows != len(want) || d.Rows() != rows {
		return fmt.Errorf("%d rows of %d, want %d", rows, d.Rows(), len(want))
	}
	return nil
}

// lender is a pool that lends what was used by another frame before.
type lender struct {
	free []*Grids
	lent int
}

func (l *lender) Get() *Grids {
	l.lent++
	if n := len(l.free); n > 0 {
		g := l.free[n-1]
		l.free = l.free[:n-1]
		return g
	}
	return &Grids{}
}

func (l *lender) Put(g *Grids) { l.free = append(l.free, g) }

func TestDiskSums(t *testing.T) {
	unfolded, folded := 0, 0
	var pool lender
	rapid.Check(t, func(rt *rapid.T) {
		rings := drawRings(rt)
		widest := rings[len(rings)-1] + rapid.IntRange(0, 1).Draw(rt, "wider halo")
		w := drawWorld(rt, t, widest)
		if rapid.IntRange(0, 5).Draw(rt, "two pentagons") == 0 {
			w = twoPentagons(t, 0, max(widest, 2))
		}
		if w.frame.Unfolds() {
			unfolded++
		} else {
			folded++
		}
		d, err := NewDisks(w.frame, rings, &pool)
		if err != nil {
			rt.Fatal(err)
		}
		if c, is := d.sums.(*cones); is {
			c.grids.large = rapid.SampledFrom([]int{1, largeSpots}).Draw(rt, "large")
		}
		var b Block
		for range 3 { // the scratch of one pane must not show in the next
			words := rapid.IntRange(1, 4).Draw(rt, "words")
			shown := rapid.IntRange(1, words).Draw(rt, "shown")
			e := Exists{rapid.IntRange(0, words-1).Draw(rt, "word"), rapid.SampledFrom([]uint64{1<<64 - 1, 1<<21 - 1, (1<<12 - 1) << 7}).Draw(rt, "mask")}
			values := drawValues(rt, t, w, words)
			for c := range values {
				values[c][e.Word] = e.count(values[c][e.Word])
			}
			s, _ := w.spread(t, values, shown)
			s.Words = words
			if err := d.Sum(s, e); err != nil {
				rt.Fatal(err)
			}
			want := oracleRows(t, w, rings, values, e)
			if err := checkRows(d, &b, want, shown); err != nil {
				rt.Fatalf("unfolds %v: %v", w.frame.Unfolds(), err)
			}
			if lent := len(pool.free); rapid.Bool().Draw(rt, "rest") {
				if d.Rest(); len(pool.free) > lent && d.Rows() > 0 {
					rt.Fatalf("%d rows without grids", d.Rows())
				}
				if err := errors.Join(d.Sum(s, e), checkRows(d, &b, want, shown)); err != nil {
					rt.Fatalf("asked once more: %v", err)
				}
			}
		}
		d.Rest()
	})
	t.Logf("%d frames unfolded, %d did not", unfolded, folded)
	if pool.lent == 0 || len(pool.free) != 1 {
		t.Errorf("memory was lent %d times, to one at a time, and %d pieces came back", pool.lent, len(pool.free))
	}
	if unfolded == 0 || folded == 0 {
		t.Errorf("%d frames unfolded, %d did not", unfolded, folded)
	}
}

// A source in the farthest corner of a strip that the box around a disk touches has a ring, or none.
func TestRingsReachOverStrips(t *testing.T) {
	for _, k := range []int{0, 1, 20} {
		rings := []int{k}
		far := Spot{int32(k + 1<<stripWidth - 1), -int32(k + 1<<stripHeight - 1)}
		if x := newPairs(rings); len(x.ring) <= far.distance() || x.ring[k] != 0 || int(x.ring[k+1]) != len(rings) {
			t.Errorf("ring %d: %d distances, the farthest is %d", k, len(x.ring), far.distance())
		}
	}
}

func TestDiskSumsAt(t *testing.T) {
	sparse, dense := 0, 0
	defer func() {
		if sparse == 0 || dense == 0 {
			t.Errorf("%d planes were summed by pairs, %d by grids", sparse, dense)
		}
	}()
	rapid.Check(t, func(rt *rapid.T) {
		rings := drawRings(rt)
		w := drawWorld(rt, t, rings[len(rings)-1])
		d, err := NewDisks(w.frame, rings, nil)
		if err != nil {
			rt.Fatal(err)
		}
		values := drawValues(rt, t, w, 2)
		s, _ := w.spread(t, values, 0)
		s.Words = 2
		want := map[Cell][][]uint64{}
		var own []Cell
		add := func(c Cell) {
			if w.t.Of(c) == w.id && want[c] == nil {
				want[c] = oracleSums(t, c, rings, values, 2)
				own = append(own, c)
			}
		}
		for c := range values {
			for _, near := range oracleDisk(t, c, 1) {
				add(near)
			}
		}
		for range rapid.IntRange(0, 5).Draw(rt, "elsewhere") {
			add(w.drawOwn(rt))
		}
		slices.Sort(own)
		if err := d.SumAt(s, own); err != nil {
			rt.Fatal(err)
		}
		var b Block
		if err := checkRows(d, &b, want, 2); err != nil {
			rt.Fatal(err)
		}
		if c, is := d.sums.(*cones); is {
			for _, p := range c.planes {
				if p.sparse {
					sparse++
				} else {
					dense++
				}
			}
		}
	})
}

// counting counts how often sums are made.
type counting struct {
	summing
	made int
}

func (c *counting) near(s Sources, e Exists) { c.made++; c.summing.near(s, e) }
func (c *counting) at(s Sources, own []Cell) { c.made++; c.summing.at(s, own) }

// TestDiskSumsOfNoChange asks everything twice, with one thing changed from question to question.
func TestDiskSumsOfNoChange(t *testing.T) {
	w, rings, values := city(t, 40)
	d, err := NewDisks(w.frame, rings, nil)
	if err != nil {
		t.Fatal(err)
	}
	sums := &counting{summing: d.sums}
	d.sums = sums
	s, cells := w.spread(t, values, 0)
	e, own := Exists{0, 1<<64 - 1}, cells[:7]
	slices.Sort(own)
	near := func() error { return d.Sum(s, e) }
	given := func() error { return d.SumAt(s, own) }
	for i, question := range []struct {
		change func()
		ask    func() error
	}{
		{func() {}, near},
		{func() { s.Values[3]++ }, near},
		{func() { s.At[5].X++ }, near},
		{func() { s.Shown = 1 }, near},
		{func() { e = Exists{1, 1<<21 - 1} }, near},
		{func() {}, given},
		{func() { own = own[1:] }, given},
		{func() {}, near},
	} {
		question.change()
		var answers [2][]uint64
		for j := range answers {
			if err := question.ask(); err != nil {
				t.Fatal(err)
			}
			for b := (Block{}); d.Fill(&b, b.First+len(b.Cells)); {
				for _, column := range b.Sums {
					answers[j] = append(answers[j], column...)
				}
			}
		}
		if sums.made != i+1 || len(answers[0]) == 0 || !slices.Equal(answers[0], answers[1]) {
			t.Errorf("question %d: sums made %d times, %d values, then %d", i, sums.made, len(answers[0]), len(answers[1]))
		}
	}
}

func TestFoldMeetsEachPairOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rings := drawRings(rt)
		w := drawWorld(rt, t, rings[len(rings)-1])
		d, err := NewDisks(w.frame, rings, nil)
		if err != nil {
			rt.Fatal(err)
		}
		values := drawValues(rt, t, w, 1)
		s, cells := w.spread(t, values, 0)
		s.Words = 1
		for i := range s.Values {
			s.Values[i] = 1
		}
		if err := d.Sum(s, Exists{0, 1<<64 - 1}); err != nil {
			rt.Fatal(err)
		}
		type pair struct{ row, source Cell }
		var rows []Cell
		for b := (Block{}); d.Fill(&b, len(rows)); {
			rows = append(rows, b.Cells...)
		}
		if rapid.Bool().Draw(rt, "given") {
			if err := d.SumAt(s, rows); err != nil {
				rt.Fatal(err)
			}
		}
		clear(s.At) // is the caller's to use again
		want := map[pair]int{}
		for _, c := range rows {
			near, err := h3.GridDiskDistances(h3.Cell(c), rings[len(rings)-1])
			if err != nil {
				rt.Fatal(err)
			}
			for distance, cells := range near {
				for _, n := range cells {
					if _, ok := values[Cell(n)]; ok {
						want[pair{c, Cell(n)}], _ = slices.BinarySearch(rings, distance)
					}
				}
			}
		}
		d.Fold(func(row, ring, source int) {
			p := pair{rows[row], cells[source]}
			if got, ok := want[p]; !ok || got != ring {
				rt.Fatalf("pair %v: ring %d, want %d (%v)", p, ring, got, ok)
			}
			delete(want, p)
		})
		if len(want) > 0 {
			rt.Fatalf("%d pairs are missing", len(want))
		}
	})
}

func TestGatherIsTheDisk(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		resolution := rapid.IntRange(0, 15).Draw(rt, "resolution")
		c := cellAt(t, drawPlace(rt), resolution)
		rings := drawRings(rt)
		if rapid.Bool().Draw(rt, "wide") {
			rings = append(rings, 20)
		}
		near, err := h3.GridDiskDistances(h3.Cell(c), rings[len(rings)-1])
		if err != nil {
			rt.Fatal(err)
		}
		want := map[Cell]int{}
		for distance, cells := range near {
			for _, n := range cells {
				if n != 0 {
					want[Cell(n)], _ = slices.BinarySearch(rings, distance)
				}
			}
		}
		Gather(c, rings, func(ring int, near Cell) {
			if got, ok := want[near]; !ok || got != ring {
				rt.Fatalf("%x about %x: ring %d, want %d (%v)", uint64(near), uint64(c), ring, got, ok)
			}
			delete(want, near)
		})
		if len(want) > 0 {
			rt.Fatalf("%d cells are missing", len(want))
		}
	})
}

// city is the definition with 9 rings over a frame of San Francisco, and sources like its taxis': dense
// in the middle, thin along roads.
func city(tb testing.TB, cells int) (w world, rings []int, values map[Cell][]uint64) {
	rings = []int{0, 1, 2, 3, 4, 5, 10, 15, 20}
	home := cellAt(tb, h3.LatLng{Lat: 37.77, Lng: -122.42}, 9)
	ts, err := NewTerritories(9, []Region{{"sf", []Cell{0x832830fffffffff, 0x832834fffffffff}}}, 20)
	if err != nil {
		tb.Fatal(err)
	}
	w = world{ts, ts.Of(home), NewFrame(ts, ts.Of(home))}
	values = map[Cell][]uint64{}
	random := rand.New(rand.NewPCG(3, 4))
	for len(values) < cells {
		spread := 0.025
		if random.IntN(10) == 0 {
			spread = 0.12
		}
		p := h3.LatLng{Lat: 37.77 + spread*random.NormFloat64(), Lng: -122.42 + spread*random.NormFloat64()}
		if c := cellAt(tb, p, 9); w.t.Of(c) == w.id {
			values[c] = []uint64{1 + random.Uint64N(20), 1<<42 | 2<<21 | 3}
		}
	}
	return w, rings, values
}

// TestDiskSumsOfACity holds 54 packed columns of a whole city against the fan-out of every source.
func TestDiskSumsOfACity(t *testing.T) {
	w, rings, values := city(t, 600)
	if !w.frame.Unfolds() {
		t.Fatal("the frame does not unfold")
	}
	d, err := NewDisks(w.frame, rings, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := w.spread(t, values, 0)
	want := fanOut(t, w, rings, values)
	var b Block
	for range 2 {
		if err := d.Sum(s, Exists{0, 1<<64 - 1}); err != nil {
			t.Fatal(err)
		}
		if err := checkRows(d, &b, want, 2); err != nil {
			t.Fatal(err)
		}
	}
}

// fanOut sends each source to all own cells around it, as a stream of records keyed by cell would.
func fanOut(tb testing.TB, w world, rings []int, values map[Cell][]uint64) map[Cell][][]uint64 {
	rows := map[Cell][][]uint64{}
	for source, words := range values {
		near, err := h3.GridDiskDistances(h3.Cell(source), rings[len(rings)-1])
		if err != nil {
			tb.Fatal(err)
		}
		for distance, cells := range near {
			for _, n := range cells {
				if w.t.Of(Cell(n)) != w.id {
					continue
				}
				sums := rows[Cell(n)]
				if sums == nil {
					for range rings {
						sums = append(sums, make([]uint64, len(words)))
					}
					rows[Cell(n)] = sums
				}
				for i, k := range rings {
					for j := range words {
						if distance <= k {
							sums[i][j] += words[j]
						}
					}
				}
			}
		}
	}
	return rows
}

func TestDisksRefuse(t *testing.T) {
	w, _, _ := city(t, 1)
	for _, rings := range [][]int{nil, {-1}, {1, 1}, {2, 1}, {0, 21}} {
		if _, err := NewDisks(w.frame, rings, nil); err == nil {
			t.Errorf("rings %v are taken", rings)
		}
	}
	d, err := NewDisks(w.frame, []int{0, 20}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []Sources{
		{Words: 0}, {Words: 1, Values: []uint64{1}}, {Words: 2, Shown: 3}, {At: []Spot{{}}, Words: 2, Values: []uint64{1}},
	} {
		if err := d.Sum(s, Exists{}); err == nil {
			t.Errorf("sources %+v are taken", s)
		}
	}
	if err := d.Sum(Sources{Words: 1}, Exists{Word: 1}); err == nil {
		t.Error("a word beyond the last is taken")
	}
	if err := d.SumAt(Sources{Words: 1}, []Cell{cellAt(t, h3.LatLng{}, 9)}); err == nil {
		t.Error("a cell of another territory is taken")
	}
}
