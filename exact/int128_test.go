package exact

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

var two64 = new(big.Int).Lsh(big.NewInt(1), 64)

func (a Int128) big() *big.Int {
	value := new(big.Int).Mul(big.NewInt(a.Hi), two64)
	return value.Add(value, new(big.Int).SetUint64(a.Lo))
}

// wrap is v modulo 2^128 as a two's complement integer.
func wrap(v *big.Int) Int128 {
	low, high := new(big.Int), new(big.Int)
	high.DivMod(v, two64, low)
	high.Mod(high, two64)
	return Int128{Hi: int64(high.Uint64()), Lo: low.Uint64()}
}

// anyInt64 prefers edges and small magnitudes.
func anyInt64() *rapid.Generator[int64] {
	return rapid.OneOf(rapid.Int64(), rapid.Int64Range(-20, 20),
		rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64, 1 << 53, 1<<53 + 1, 1 << 62}))
}

func anyInt128() *rapid.Generator[Int128] {
	return rapid.Custom(func(t *rapid.T) Int128 {
		a := Int128{Hi: anyInt64().Draw(t, "hi"), Lo: uint64(anyInt64().Draw(t, "lo"))}
		if rapid.Bool().Draw(t, "small") {
			a.Hi = int64(a.Lo) >> 63
		}
		return a
	})
}

func TestInt128AgreesWithBigIntegers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyInt128().Draw(t, "a"), anyInt128().Draw(t, "b")
		v, w := anyInt64().Draw(t, "v"), anyInt64().Draw(t, "w")
		for _, c := range []struct {
			what string
			got  Int128
			want *big.Int
		}{
			{"a+b", a.Add(b), new(big.Int).Add(a.big(), b.big())},
			{"a-b", a.Sub(b), new(big.Int).Sub(a.big(), b.big())},
			{"-a", a.Neg(), new(big.Int).Neg(a.big())},
			{"a*v", a.MulInt64(v), new(big.Int).Mul(a.big(), big.NewInt(v))},
			{"v*w", Mul64(v, w), new(big.Int).Mul(big.NewInt(v), big.NewInt(w))},
			{"v", FromInt64(v), big.NewInt(v)},
		} {
			if c.got != wrap(c.want) {
				t.Fatalf("%s = %v, want %v", c.what, c.got, c.want)
			}
		}
		if a.String() != a.big().String() {
			t.Fatalf("String %s, want %s", a, a.big())
		}
		if a.Cmp(b) != a.big().Cmp(b.big()) || a.Sign() != a.big().Sign() || a.IsZero() != (a.Sign() == 0) {
			t.Fatalf("order of %v and %v", a, b)
		}
		if a.FitsInt64() != a.big().IsInt64() || a.FitsInt64() && a.Int64() != a.big().Int64() {
			t.Fatalf("%v as int64", a)
		}
	})
}

func TestRatioRoundsOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := anyInt128().Draw(t, "a")
		scale := rapid.IntRange(0, MaxScale).Draw(t, "scale")
		n := max(1, anyInt64().Draw(t, "n"))
		checkRatio(t, a, scale, n)
		checkRatio(t, a, scale, 1)
		// Halfway between two floats, and a unit beside it, at any magnitude.
		exponent := rapid.IntRange(0, 70).Draw(t, "exponent")
		half := Mul64(int64(rapid.Uint64Range(1<<53, 1<<54-1).Draw(t, "mantissa")|1), 1)
		for range exponent {
			half = half.Add(half)
		}
		for _, near := range []int64{-1, 0, 1} {
			checkRatio(t, half.Add(FromInt64(near)), 0, 1)
		}
		checkRatio(t, half.MulInt64(7), 0, 7)
	})
}

func checkRatio(t *rapid.T, a Int128, scale int, n int64) {
	divisor := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)
	divisor.Mul(divisor, big.NewInt(n))
	want, _ := new(big.Rat).SetFrac(a.big(), divisor).Float64()
	if got := a.Ratio(scale, n); got != want {
		t.Fatalf("%v / (10^%d * %d) = %v, want %v", a, scale, n, got, want)
	}
	if n == 1 && a.Float64(scale) != want {
		t.Fatalf("Float64(%d) of %v", scale, a)
	}
}
