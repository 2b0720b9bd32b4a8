package main

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// The crash points of a backfill, beside those of the core.
const (
	crashBeforeManifest = "backfill:before-manifest" // all rows are durable
	crashAfterManifest  = "backfill:after-manifest"  // the working state is still there
)

// crashPoints lets a test kill this process, by SIGKILL, when it passes a crash
// point of the core for the nth time: HEXTIDE_TEST_CRASH=checkpoint:before-commit/2.
// It does nothing where the variable is not set.
func crashPoints() func(string) {
	point, times, _ := strings.Cut(os.Getenv("HEXTIDE_TEST_CRASH"), "/")
	if point == "" {
		return func(string) {}
	}
	nth, err := strconv.ParseInt(times, 10, 64)
	if err != nil {
		nth = 1
	}
	var passed atomic.Int64
	return func(name string) {
		if name == point && passed.Add(1) == nth {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // the kernel ends it here
		}
	}
}
