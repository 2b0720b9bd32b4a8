package features

import (
	"math"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/exact"
)

// function is one that an expression may call, with numbers.
type function struct {
	least, most int // numbers of arguments; most 0: any
	takes       string
	compile     func(c *compiler, args []value, integers bool) value
}

var functions = map[string]function{
	"abs": {1, 1, "one number", func(c *compiler, args []value, integers bool) value {
		if integers {
			return c.emit(step{run: absolute, kind: column.Int}, args[0])
		}
		return c.emit(step{run: onFloats(math.Abs), kind: column.Float}, args[0])
	}},
	"min":   {2, 0, "two numbers or more", func(c *compiler, args []value, integers bool) value { return c.fold(args, integers, "<") }},
	"max":   {2, 0, "two numbers or more", func(c *compiler, args []value, integers bool) value { return c.fold(args, integers, ">") }},
	"floor": rounding(math.Floor),
	"ceil":  rounding(math.Ceil),
	"round": rounding(math.Round),
	"sqrt":  ofOneFloat(math.Sqrt),
	"exp":   ofOneFloat(exact.Exp),
	"log":   ofOneFloat(exact.Log),
	"clamp": {3, 3, "a number and its bounds", func(c *compiler, args []value, integers bool) value {
		low := c.fold([]value{args[0], args[1]}, integers, ">")
		return c.fold([]value{low, args[2]}, integers, "<")
	}},
}

func ofOneFloat(f func(float64) float64) function {
	return function{1, 1, "one number", func(c *compiler, args []value, _ bool) value {
		return c.emit(step{run: onFloats(f), kind: column.Float}, c.float(args[0]))
	}}
}

// rounding leaves integers as they are.
func rounding(f func(float64) float64) function {
	return function{1, 1, "one number", func(c *compiler, args []value, integers bool) value {
		if integers {
			return args[0]
		}
		return c.emit(step{run: onFloats(f), kind: column.Float}, args[0])
	}}
}

// fold takes the least or the greatest of some values.
func (c *compiler) fold(args []value, integers bool, which string) value {
	if !integers {
		for i := range args {
			args[i] = c.float(args[i])
		}
	}
	best := args[0]
	for _, v := range args[1:] {
		better := step{run: compareIntegers[which], kind: column.Bool}
		if !integers {
			better.run = compareFloats[which]
		}
		best = c.emit(step{run: choose, kind: best.kind}, c.emit(better, best, v), best, v)
		// null in, null out: a comparison with null is null, and choose keeps it
	}
	return best
}
