package simulation

import (
	"flag"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
)

var oneSeed = flag.Int64("seed", -1, "run TestSimulation with this seed alone, and show what happened")

// live lives through a seed's world.
func live(t *testing.T, seed uint64, d defect) (o outcome) {
	synctest.Test(t, func(*testing.T) { o = run(seed, d) })
	// The writers of tables are pooled with their channels, which are no good in
	// another bubble. After two collections no pool holds anything.
	runtime.GC()
	runtime.GC()
	return o
}

// Whatever happens to the processes, readers see in the end what brute force finds.
func TestSimulation(t *testing.T) {
	first, seeds := uint64(0), uint64(240/fewer)
	if os.Getenv("HEXTIDE_NIGHTLY") != "" {
		seeds = 10_000
	}
	if *oneSeed >= 0 {
		first, seeds = uint64(*oneSeed), 1
	}
	var total outcome
	for seed := first; seed < first+seeds; seed++ {
		o := live(t, seed, noDefect)
		if o.err != nil || *oneSeed >= 0 {
			t.Logf("seed %d, trace %x, %d steps:\n%s", seed, o.trace, o.steps, strings.Join(o.notes, "\n"))
		}
		if o.err != nil {
			t.Fatalf("seed %d: %v\nto see it again: go test ./internal/simulation -run TestSimulation -seed %d", seed, o.err, seed)
		}
		total.steps, total.starts, total.rows = total.steps+o.steps, total.starts+o.starts, total.rows+o.rows
		total.joins, total.late, total.replaced = total.joins+o.joins, total.late+o.late, total.replaced+o.replaced
	}
	t.Logf("%d seeds: %d steps, %d processes, %d rows, %d times a partition came back, %d late records, %d processes replaced",
		seeds, total.steps, total.starts, total.rows, total.joins, total.late, total.replaced)
	if seeds > 50 && (total.rows == 0 || total.joins == 0 || total.late == 0 || total.replaced == 0) {
		t.Error("this tests nothing")
	}
}

// The same seed does the same, on one processor and on two.
func TestSameSeedSameTrace(t *testing.T) {
	for seed := range uint64(max(1, 8/fewer)) {
		was := runtime.GOMAXPROCS(1)
		one := live(t, seed, noDefect)
		runtime.GOMAXPROCS(2)
		two := live(t, seed, noDefect)
		runtime.GOMAXPROCS(was)
		if one.trace != two.trace || one.steps != two.steps {
			t.Errorf("seed %d: trace %x of %d steps, then %x of %d", seed, one.trace, one.steps, two.trace, two.steps)
		}
	}
}

// What is broken on purpose is found.
func TestDefectsAreFound(t *testing.T) {
	for _, d := range []defect{oldFiles, noJoins} {
		var o outcome
		for seed := uint64(0); o.err == nil && seed < 300; seed++ {
			if o = live(t, seed, d); o.err != nil {
				t.Logf("defect %d: seed %d: %v", d, seed, o.err)
			}
		}
		if o.err == nil {
			t.Errorf("no seed finds defect %d", d)
		}
	}
}
