package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/redis/go-redis/v9"
	"google.golang.org/grpc/grpclog"
)

// quietLibraries sends what libraries log by themselves through slog, so that
// standard error holds nothing but the lines that operators parse.
func quietLibraries() {
	redis.SetLogger(redisLog{})
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, lineLog("gRPC"), lineLog("gRPC")))
}

// redisLog is the client's log: every failed dial has a line, and the sink tells
// of an outage itself.
type redisLog struct{}

// Printf implements the client's logging.
func (redisLog) Printf(_ context.Context, format string, v ...any) {
	slog.Debug("Redis client", "text", fmt.Sprintf(format, v...))
}

// lineLog logs each line that is written as what a library says.
type lineLog string

// Write implements io.Writer.
func (l lineLog) Write(p []byte) (int, error) {
	slog.Debug(string(l), "text", strings.TrimSpace(string(p)))
	return len(p), nil
}
