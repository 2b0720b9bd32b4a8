package exact

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

var decimalText = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)

var wholeText = regexp.MustCompile(`^[+-]?[0-9]+$`)

// numberText draws texts that are decimal numbers, or nearly.
func numberText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`[+-]?[0-9]{0,24}(\.[0-9]{0,24})?([eE][+-]?[0-9]{1,2})?`),
		rapid.StringMatching(`-?[0-9]{1,3}\.[0-9]{1,6}`),
		rapid.StringMatching(`[-+0-9.eE_xinfNa ]{0,6}`),
		rapid.SampledFrom([]string{"", ".", "-", "1e", "1e+", "inf", "NaN", "0x1p3", "1_0", "9223372036854775807",
			"-9223372036854775808", "9223372036854775808", "18446744073709551616", "0.5", "1.5", "2.5", "-2.5",
			"2.50000000000000000000000001", "1e400", "1e-400", "0e999999999999", "00000000000000000000000000000001"}),
	)
}

// roundHalfEven is the oracle of ParseDecimal, in rationals.
func roundHalfEven(text string, scale int) *big.Int {
	value, _ := new(big.Rat).SetString(text)
	value.Mul(value, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)))
	double := new(big.Int).Mul(value.Num(), big.NewInt(2))
	double.Add(double, value.Denom())
	quotient, rest := new(big.Int).DivMod(double, new(big.Int).Mul(value.Denom(), big.NewInt(2)), new(big.Int))
	if rest.Sign() == 0 && quotient.Bit(0) == 1 {
		quotient.Sub(quotient, big.NewInt(1))
	}
	return quotient
}

func TestParseDecimalAgreesWithRationals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, scale := numberText().Draw(t, "text"), rapid.IntRange(0, MaxScale).Draw(t, "scale")
		got, err := ParseDecimal([]byte(text), scale)
		if !decimalText.MatchString(text) {
			if !errors.Is(err, ErrSyntax) {
				t.Fatalf("%q: error %v, want a syntax error", text, err)
			}
			return
		}
		if text == "0e999999999999" {
			return // too large an exponent for the oracle
		}
		want := roundHalfEven(text, scale)
		if !want.IsInt64() {
			if !errors.Is(err, ErrRange) {
				t.Fatalf("%q: %d, %v, want out of range (%v)", text, got, err, want)
			}
			return
		}
		if err != nil || got != want.Int64() {
			t.Fatalf("%q at %d digits: %d, %v, want %v", text, scale, got, err, want)
		}
	})
}

func TestParseFloatAgreesWithStrconv(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := numberText().Draw(t, "text")
		if rapid.Bool().Draw(t, "shortest") {
			text = strconv.FormatFloat(rapid.Float64().Draw(t, "value"), 'g', rapid.IntRange(-1, 17).Draw(t, "digits"), 64)
		}
		got, err := ParseFloat([]byte(text))
		if !decimalText.MatchString(text) {
			if !errors.Is(err, ErrSyntax) {
				t.Fatalf("%q: error %v, want a syntax error", text, err)
			}
			return
		}
		want, failed := strconv.ParseFloat(text, 64)
		if failed != nil {
			if !errors.Is(err, ErrRange) {
				t.Fatalf("%q: %v, %v, want out of range", text, got, err)
			}
			return
		}
		if err != nil || math.Float64bits(got) != math.Float64bits(want) {
			t.Fatalf("%q: %v, %v, want %v", text, got, err, want)
		}
	})
}

func TestParseIntAgreesWithStrconv(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := numberText().Draw(t, "text")
		if rapid.Bool().Draw(t, "whole") {
			text = fmt.Sprint(anyInt64().Draw(t, "value"))
		}
		got, err := ParseInt([]byte(text))
		want, failed := strconv.ParseInt(text, 10, 64)
		switch {
		case !wholeText.MatchString(text): // strconv may find the range out before the syntax
			if !errors.Is(err, ErrSyntax) {
				t.Fatalf("%q: %v, want a syntax error", text, err)
			}
		case failed != nil:
			if !errors.Is(err, ErrRange) {
				t.Fatalf("%q: %v, want out of range", text, err)
			}
		case err != nil || got != want:
			t.Fatalf("%q: %d, %v, want %d", text, got, err, want)
		}
	})
}

func TestParsingDoesNotAllocate(t *testing.T) {
	text := []byte("-122.39488")
	whole := []byte("1211018404")
	allocations := testing.AllocsPerRun(100, func() {
		ParseDecimal(text, 6)
		ParseFloat(text)
		ParseInt(whole)
	})
	if allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

func TestSplitmix64(t *testing.T) {
	// The first outputs of the generator seeded with 1234567 (Rosetta Code, "Pseudo-random
	// numbers/Splitmix64"): its state advances by the golden gamma.
	state := uint64(1234567)
	for i, want := range []uint64{6457827717110365317, 3203168211198807973, 9817491932198370423} {
		if got := Splitmix64(state); got != want {
			t.Errorf("output %d: %d, want %d", i, got, want)
		}
		state += 0x9E3779B97F4A7C15
	}
}
