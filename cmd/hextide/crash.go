package main

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// The crash points of a backfill, beside those of the core.
const (
	crashBeforeManifest = "backfill:before-manifest" // all rows are durable
	crashAfterManifest  = "backfill:after-manifest"  // the working state is still there
)

// crashPoints lets a test kill this process, by SIGKILL, when it passes a crash
// point of the core for the nth time: HEXTIDE_TEST_CRASH=checkpoint:before-commit/2.
// HEXTIDE_TEST_STOP stops it there by SIGSTOP, until a SIGCONT. It does nothing where
// neither variable is set.
func crashPoints() func(string) {
	kill, stop := crashPoint("HEXTIDE_TEST_CRASH", syscall.SIGKILL), crashPoint("HEXTIDE_TEST_STOP", syscall.SIGSTOP)
	return func(name string) {
		kill(name)
		stop(name)
	}
}

func crashPoint(variable string, signal syscall.Signal) func(string) {
	point, times, _ := strings.Cut(os.Getenv(variable), "/")
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
			_ = syscall.Kill(os.Getpid(), signal)
			time.Sleep(time.Second) // the kernel ends or stops this thread within it
		}
	}
}
