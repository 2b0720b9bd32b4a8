package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// bar shows how far long work is: a moving bar on a terminal, nothing elsewhere.
type bar struct {
	to    *progressbar.ProgressBar
	what  string
	start time.Time
}

func newBar(what string, show bool) *bar {
	b := &bar{what: what, start: time.Now()}
	var out io.Writer = os.Stderr
	if !show || !term.IsTerminal(int(os.Stderr.Fd())) {
		out = io.Discard
	}
	b.to = progressbar.NewOptions64(-1,
		progressbar.OptionSetWriter(out), progressbar.OptionSetDescription(what), progressbar.OptionShowBytes(true),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetPredictTime(true), progressbar.OptionFullWidth(),
		progressbar.OptionClearOnFinish())
	return b
}

// bytes says how many bytes of how many were read, and how many records were in
// them. The bar is only for people: that it cannot be drawn is no error.
func (b *bar) bytes(read, size, records int64) {
	if size > 0 && b.to.GetMax64() != size {
		b.to.ChangeMax64(size)
	}
	rate := float64(records) / max(time.Since(b.start).Seconds(), 1e-3)
	b.to.Describe(fmt.Sprintf("%s %d records, %.0f/s", b.what, records, rate))
	_ = b.to.Set64(read)
}

func (b *bar) end() { _ = b.to.Finish() }
