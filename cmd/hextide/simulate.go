package main

import (
	"time"

	"github.com/hextide/hextide/ingest"
	"github.com/hextide/hextide/stream"
	"github.com/spf13/cobra"
)

func newSimulate() *cobra.Command {
	kafka := &kafkaSettings{}
	var options ingest.SimulateOptions
	showProgress := false
	c := &cobra.Command{
		Use:   "simulate FILE --input PATH...",
		Short: "Replay files into the source's topic",
		Long: `Replays files into the source's topic, N times as fast as event time, each
record when its time comes; 0 is as fast as the broker takes them. The topic is
made where it does not exist, with a retention that eats no old event times.
Records are keyed by the dedup key, where the definition has one.`,
		Example: `  hextide simulate examples/sf-taxi.yaml --input pings.csv.gz --speed 60 --brokers localhost:9092`,
		Args:    arguments(1, 1, "one definition"),
		RunE: func(c *cobra.Command, given []string) error {
			plan, err := load(given[0])
			if err != nil {
				return err
			}
			if len(options.Inputs) == 0 {
				return usagef("no input: --input PATH")
			}
			if options.Topic, err = kafka.named(plan); err != nil {
				return err
			}
			options.Schema, options.Key, options.Cluster = ingest.SchemaOf(&plan.Source), ingest.KeyOf(&plan.Source), kafka.cluster
			bar := newBar("replaying", showProgress)
			options.Progress = func(p ingest.SimulateProgress) { bar.bytes(p.Read, p.Size, p.Records) }
			done, err := ingest.Simulate(c.Context(), options)
			bar.end()
			if err != nil && c.Context().Err() == nil {
				return err
			}
			say(c, "%d records to %s, up to %s", done.Records, options.Topic, timeText(done.EventTime))
			if done.TooLong > 0 {
				say(c, "%d records were too long for the topic and were left out", done.TooLong)
			}
			return nil
		},
	}
	kafka.add(c)
	c.Flags().StringArrayVar(&options.Inputs, "input", nil, "file or pattern to replay; may be given several times")
	speedVar(c.Flags(), &options.Speed, "speed", 1, 0, "so many times as fast as event time; 0: as fast as possible")
	wholeVar(c.Flags(), &options.Partitions, "partitions", 4, 1, 10_000, "partitions of the topic, where it has to be made")
	c.Flags().BoolVar(&showProgress, "progress", true, "show a progress bar")
	return c
}

// timeText is a time of the core for people.
func timeText(us int64) string {
	if us == stream.NoTime {
		return "none"
	}
	return time.UnixMicro(us).UTC().Format(time.RFC3339)
}
