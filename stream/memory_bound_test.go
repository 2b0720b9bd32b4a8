package stream

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/geo"
)

// brokenTable fails from some call on, counted over all tables of a run.
type brokenTable struct {
	Table
	left *atomic.Int64
}

var errBroken = errors.New("the disk is gone")

func (t brokenTable) Get(dst, key []byte) ([]byte, error) {
	if t.left.Add(-1) < 0 {
		return dst, errBroken
	}
	return t.Table.Get(dst, key)
}

func (t brokenTable) Set(key, value []byte) error {
	if t.left.Add(-1) < 0 {
		return errBroken
	}
	return t.Table.Set(key, value)
}

func (t brokenTable) Delete(key []byte) error {
	if t.left.Add(-1) < 0 {
		return errBroken
	}
	return t.Table.Delete(key)
}

// Where a table fails the run ends with that error, and told no row that is wrong.
func TestBrokenTablesEndTheRun(t *testing.T) {
	for _, span := range []int64{0, 20 * second} {
		plan := testPlan(t, 8*second, span, 0)
		dealt := shuffled(city(1, 120, second), rand.New(rand.NewPCG(5, 1)), 2)
		begin := func() Config {
			return Config{
				Plan: plan, Source: &memorySource{partitions: dealt, batch: 10, bounded: true},
				Shape: Shape{Workers: 2, Shards: 4}, Range: Range{Bounded: true, FinalOnly: true},
			}
		}
		want, _ := bounded(t, begin())
		failed := 0
		for calls := int64(0); ; calls = calls*5/4 + 1 {
			left := &atomic.Int64{}
			left.Store(calls)
			cfg, sink := begin(), newMemorySink()
			cfg.Sinks = []Sink{sink}
			cfg.Memory = Memory{Bytes: 1, Table: func(string) Table { return brokenTable{mapTable{}, left} }}
			r, err := NewRunner(cfg)
			if err != nil {
				t.Fatal(err)
			}
			_, err = r.Run(t.Context())
			for key, row := range sink.rows {
				if want.rows[key] != row {
					t.Fatalf("after %d calls: row %+v is wrong", calls, key)
				}
			}
			if left.Load() >= 0 {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
			if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "outside memory of ") {
				t.Fatalf("after %d calls: %v", calls, err)
			}
			failed++
		}
		if failed < 10 {
			t.Fatalf("%d runs failed", failed)
		}
	}
}

// Of large partials only a few are on their way to a worker, of small ones as many
// as its channel holds; and few wait to be used again.
func TestLargePartialsWaitInSmallNumbers(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	partials := func(cells int) *Partials {
		p := newPartials(1)
		p.Cells, p.Measures = make([]geo.Cell, cells), []aggregate.MeasureColumn{{Lo: make([]uint64, cells)}}
		return p
	}
	for _, c := range []struct{ cells, waiting int }{{10, 50}, {largePartials / 16, largeWaiting}} {
		e := newExchange(newMinimum(second, 0, second, true, 1), 4, 1, 50)
		var out Ingested
		for range 60 {
			out.Partials = append(out.Partials, partials(c.cells))
		}
		var blocked atomic.Int64
		if err := e.pass(canceled, 0, nil, &out, &blocked); !errors.Is(err, context.Canceled) || len(e.workers[0]) != c.waiting {
			t.Errorf("%d partials of %d cells wait, %v", len(e.workers[0]), c.cells, err)
		}
		e.taken(0, (<-e.workers[0]).partials.bytes())
		out.Partials = append(out.Partials[:0], partials(c.cells), partials(c.cells))
		if err := e.pass(canceled, 0, nil, &out, &blocked); !errors.Is(err, context.Canceled) || len(e.workers[0]) != c.waiting {
			t.Errorf("after one was taken %d partials of %d cells wait, %v", len(e.workers[0]), c.cells, err)
		}
	}
	var pool PartialsPool
	for range 100 {
		pool.Put(partials(partialsKeptBytes / 16 / 10))
	}
	if len(pool.free) != 10 || pool.held != partialsKeptBytes/160*160 {
		t.Errorf("%d partials of %d bytes wait to be used again", len(pool.free), pool.held)
	}
	pool.Get(1)
	if len(pool.free) != 9 || pool.held > partialsKeptBytes*9/10 {
		t.Errorf("%d partials of %d bytes wait to be used again", len(pool.free), pool.held)
	}
}
