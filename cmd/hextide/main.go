// Command hextide turns a stream of located events into features and online
// models over H3 cells and event-time windows, and serves them. Each file of
// this package is one command; assemble.go puts drivers and core together.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// usageError marks an error in how the command was called.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

func usagef(format string, arguments ...any) error {
	return usageError{fmt.Errorf(format, arguments...)}
}

func main() { os.Exit(run(os.Args[1:])) }

// sameSignal is for how long a second signal counts as the first: terminals and
// supervisors signal a process and its group.
const sameSignal = 500 * time.Millisecond

// run executes one command line and returns its exit code. The first SIGINT or
// SIGTERM ends the command in good order, a later one at once.
func run(arguments []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		time.Sleep(sameSignal)
		stop() // from now on a signal ends the process
	}()
	root := newRoot()
	root.SetArgs(arguments)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	fmt.Fprintln(os.Stderr, "hextide: "+err.Error())
	var usage usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}
