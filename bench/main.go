// Command bench measures hextide as a whole, each figure beside something
// measured in the same run, since machines are noisy:
//
//	go run ./bench backfill --data FILE   J1 and J3 against reading the file
//	go run ./bench windows  --data FILE   rings, cities, sparse time, hot spots:
//	                                      the core in this process
//	go run ./bench live     --data FILE   lookups and freshness under load,
//	                                      against an empty gRPC handler
//
//	go run ./bench state                  checkpoints, restarts and what they cost,
//	                                      with a gigabyte of state: the core in
//	                                      this process
//	go run ./bench kafka                  the same of the program beside a broker,
//	                                      and how soon a feed's rows can be read
//
// backfill, live and kafka want bin/hextide; live and kafka want a real Kafka broker
// (scripts/kafka.sh).
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench: "+err.Error())
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	commands := map[string]func(context.Context, *flag.FlagSet, []string) error{
		"backfill": backfill, "windows": windows, "live": live, "steady": steady, "state": state, "kafka": kafka, "empty": empty,
	}
	if len(arguments) == 0 || commands[arguments[0]] == nil {
		return fmt.Errorf("usage: bench backfill|windows|live|steady|state|kafka [flags]")
	}
	return commands[arguments[0]](ctx, flag.NewFlagSet(arguments[0], flag.ExitOnError), arguments[1:])
}
