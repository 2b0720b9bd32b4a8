package pages

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/hextide/hextide/geo"
	"pgregory.net/rapid"
)

// deltas reads integers bit by bit, as the format has it, and what is behind them.
func deltas(t *rapid.T, in []byte) (values []int64, rest []byte) {
	t.Helper()
	number := func() uint64 {
		v, n := binary.Uvarint(in)
		if n <= 0 {
			t.Fatal("no number where one should be")
		}
		in = in[n:]
		return v
	}
	signed := func() int64 {
		v := number()
		return int64(v>>1) ^ -int64(v&1)
	}
	block, parts, count := int(number()), int(number()), int(number())
	last := signed()
	for values = append(values, last); len(values) < count; {
		least := signed()
		widths := in[:parts]
		in = in[parts:]
		for _, width := range widths {
			if len(values) == count {
				break // what is behind the last part that has a value is not stored
			}
			packed := in[:block/parts*int(width)/8]
			in = in[len(packed):]
			for i := range block / parts {
				difference := uint64(0)
				for bit := range int(width) {
					at := i*int(width) + bit
					difference |= uint64(packed[at/8]>>(at%8)&1) << bit
				}
				if len(values) < count {
					last += least + int64(difference)
					values = append(values, last)
				}
			}
		}
	}
	return values, in
}

func TestDeltas(t *testing.T) {
	near := rapid.Int64Range(-1000, 1000)
	far := rapid.OneOf(near, rapid.Int64(), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64}))
	rapid.Check(t, func(t *rapid.T) {
		of := rapid.SampledFrom([]*rapid.Generator[int64]{near, far}).Draw(t, "of")
		values := rapid.SliceOfN(of, 1, 3*deltaBlock).Draw(t, "values")
		got, rest := deltas(t, AppendDeltas(nil, values))
		if !slices.Equal(got, values) || len(rest) > 0 {
			t.Fatalf("%v, and %d bytes behind them", got, len(rest))
		}
	})
}

// Names come back from what each shares with the one before, and share all they can.
func TestNames(t *testing.T) {
	var scratch []int64
	rapid.Check(t, func(t *rapid.T) {
		cells := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) geo.Cell {
			c, err := geo.Index(rapid.Float64Range(-90, 90).Draw(t, "lat"), rapid.Float64Range(-180, 180).Draw(t, "lng"), rapid.IntRange(0, 15).Draw(t, "resolution"))
			if err != nil {
				t.Fatal(err)
			}
			return c
		}), 1, 200).Draw(t, "cells")
		shared, rest := deltas(t, AppendNames(nil, cells, &scratch))
		lengths, rest := deltas(t, rest)
		before := ""
		for i, c := range cells {
			name := before[:shared[i]] + string(rest[:lengths[i]])
			rest = rest[lengths[i]:]
			if want := fmt.Sprintf("%x", uint64(c)); name != want {
				t.Fatalf("%s instead of %s", name, want)
			}
			if n := int(shared[i]); before != "" && n < NameDigits && name[n] == before[n] {
				t.Fatalf("%s shares more than %d digits with %s", name, n, before)
			}
			before = name
		}
		if len(rest) > 0 {
			t.Fatalf("%d bytes behind the names", len(rest))
		}
	})
}

func TestDigits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mask := geo.Cell(rapid.Uint64Range(1, 1<<60-1).Draw(t, "mask"))
		from, to := Digits(mask)
		name := fmt.Sprintf("%015x", uint64(mask))
		for i, digit := range name {
			if inside := i >= from && i < to; !inside && digit != '0' || (i == from || i == to-1) && digit == '0' {
				t.Fatalf("%s has its bits in other digits than %d to %d", name, from, to)
			}
		}
	})
}
