package main

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/spf13/pflag"
)

// bounded is a flag whose values lie within bounds, both included.
type bounded[T int | float64 | time.Duration] struct {
	value       *T
	least, most T
	parse       func(string) (T, error)
	text        func(T) string
	kind        string
}

// String prints the value.
func (b *bounded[T]) String() string {
	if b.value == nil { // pflag asks a zero flag for what is no default
		return ""
	}
	return b.text(*b.value)
}

// Set reads a value and refuses one that is out of bounds.
func (b *bounded[T]) Set(text string) error {
	v, err := b.parse(text)
	switch {
	case err != nil:
		return err
	case v != v: // not a number
		return fmt.Errorf("it is no number")
	case v < b.least:
		return fmt.Errorf("it is at least %s", b.text(b.least))
	case v > b.most:
		return fmt.Errorf("it is at most %s", b.text(b.most))
	}
	*b.value = v
	return nil
}

// Type names the flag's value in help.
func (b *bounded[T]) Type() string { return b.kind }

// wholeVar adds a flag that is a whole number.
func wholeVar(f *pflag.FlagSet, to *int, name string, value, least, most int, usage string) {
	*to = value
	f.Var(&bounded[int]{to, least, most, strconv.Atoi, strconv.Itoa, "int"}, name, usage)
}

// timeVar adds a flag that is a duration of at least so much.
func timeVar(f *pflag.FlagSet, to *time.Duration, name string, value, least time.Duration, usage string) {
	*to = value
	f.Var(&bounded[time.Duration]{to, least, math.MaxInt64, time.ParseDuration, time.Duration.String, "duration"}, name, usage)
}

// speedVar adds a flag that is a finite number of at least so much.
func speedVar(f *pflag.FlagSet, to *float64, name string, value, least float64, usage string) {
	*to = value
	parse := func(text string) (float64, error) { return strconv.ParseFloat(text, 64) }
	show := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
	f.Var(&bounded[float64]{to, least, math.MaxFloat64, parse, show, "float"}, name, usage)
}
