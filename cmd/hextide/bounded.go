package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// bounded is a flag whose values lie within bounds, both included.
type bounded[T int | int64 | float64 | time.Duration] struct {
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

// epochVar adds a flag that is an epoch; 0 where it is not given.
func epochVar(f *pflag.FlagSet, to *int64, name, usage string) {
	parse := func(text string) (int64, error) { return strconv.ParseInt(text, 10, 64) }
	show := func(n int64) string { return strconv.FormatInt(n, 10) }
	f.Var(&bounded[int64]{to, 1, math.MaxInt64, parse, show, "int"}, name, usage)
}

// checked is a flag of text that is not taken as it comes.
type checked struct {
	value *string
	check func(string) error
}

// String is the text.
func (c *checked) String() string {
	if c.value == nil {
		return ""
	}
	return *c.value
}

// Set takes a text that passes.
func (c *checked) Set(text string) error {
	if err := c.check(text); err != nil {
		return err
	}
	*c.value = text
	return nil
}

// Type names the flag's value in help.
func (c *checked) Type() string { return "string" }

// folderVar adds a flag that is a folder of this machine: an address of a bucket
// would make one of that name.
func folderVar(f *pflag.FlagSet, to *string, name, usage string) {
	f.Var(&checked{to, func(text string) error {
		if strings.Contains(text, "://") {
			return fmt.Errorf("it is a folder on this machine")
		}
		return nil
	}}, name, usage)
}
