package features

import "github.com/hextide/hextide/column"

// step computes one column from the columns of earlier steps.
type step struct {
	run      func(e *Evaluator, s *step, dst *column.Vector)
	kind     column.Kind
	args     [3]int // earlier steps
	variable int    // load
	integer  int64  // constant; the scale of a decimal
	float    float64
	text     string
}

// Evaluator runs a program. It belongs to one goroutine.
type Evaluator struct {
	program *Program
	columns []column.Vector // of the steps
	in      []*column.Vector
	n       int
}

// NewEvaluator makes an evaluator of a program.
func NewEvaluator(p *Program) *Evaluator {
	return &Evaluator{program: p, columns: make([]column.Vector, len(p.steps))}
}

// Eval computes the program for n rows. in holds the variables' columns, by
// position; those that are not used may be nil. The result is valid until the
// next call.
func (e *Evaluator) Eval(in []*column.Vector, n int) *column.Vector {
	e.in, e.n = in, n
	for i := range e.program.steps {
		s, dst := &e.program.steps[i], &e.columns[i]
		dst.Kind = s.kind
		s.run(e, s, dst)
	}
	return &e.columns[len(e.columns)-1]
}

// arg is the column of a step's argument.
func (e *Evaluator) arg(s *step, i int) *column.Vector { return &e.columns[s.args[i]] }

// sized returns a slice of n values in the memory of an old one; what it holds
// is to be overwritten.
func sized[T any](old []T, n int) []T {
	if cap(old) < n {
		return make([]T, n)
	}
	return old[:n]
}

// nulls makes dst null where any of the arguments is.
func nulls(dst *column.Vector, args ...*column.Vector) {
	dst.Nulls = dst.Nulls[:0]
	for _, a := range args {
		for len(dst.Nulls) < len(a.Nulls) {
			dst.Nulls = append(dst.Nulls, 0)
		}
		for w, bits := range a.Nulls {
			dst.Nulls[w] |= bits
		}
	}
}
