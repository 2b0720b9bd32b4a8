package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hextide/hextide/materialize"
	"github.com/spf13/cobra"
)

func newDiff() *cobra.Command {
	kafka := &kafkaSettings{}
	c := &cobra.Command{
		Use:   "diff A B",
		Short: "Compare two outputs bit for bit",
		Long: `Compares the final rows of two outputs, each a snapshot's folder, a feed
(kafka://host:port/topic) or a running server (grpc://host:port). Prints how
many rows differ, in which columns, and what may have caused it. A snapshot
written with --no-files is compared with another by content_hash alone; one
whose files hold other rows than its manifest tells of is called damaged.

Exit code 0: no row differs; 1: rows differ, or the outputs cannot be compared.`,
		Example: `  hextide diff snapshot kafka://localhost:9092/sf-taxi.rows
  hextide diff monday-run tuesday-run`,
		Args: arguments(2, 2, "two outputs"),
		RunE: func(c *cobra.Command, given []string) error {
			if err := kafka.check(); err != nil {
				return err
			}
			var sides [2]materialize.Side
			for i, name := range given {
				side, err := openSide(c.Context(), name, kafka)
				if err != nil {
					return err
				}
				defer side.Close()
				sides[i] = side
			}
			found, err := materialize.Diff(c.Context(), sides[0], sides[1])
			if err != nil {
				return err
			}
			return report(c, found, sides)
		},
	}
	kafka.secure(c)
	return c
}

// openSide opens an output by its name.
func openSide(ctx context.Context, name string, kafka *kafkaSettings) (materialize.Side, error) {
	scheme, rest, is := strings.Cut(name, "://")
	switch {
	case !is:
		return materialize.OpenSnapshotSide(name)
	case scheme == "kafka":
		brokers, topic, named := strings.Cut(rest, "/")
		if !named || topic == "" || brokers == "" {
			return nil, usagef("%q names no topic: kafka://host:port/topic", name)
		}
		cluster := kafka.cluster
		cluster.Brokers = strings.Split(brokers, ",")
		options, err := cluster.Options()
		if err != nil {
			return nil, err
		}
		return materialize.OpenFeedSide(ctx, topic, options...)
	case scheme == "grpc":
		conn, err := connect(rest)
		if err != nil {
			return nil, err
		}
		side, err := materialize.OpenLiveSide(ctx, name, conn)
		if err != nil {
			return nil, called(err)
		}
		return side, nil
	}
	return nil, usagef("%q is no folder, kafka:// or grpc:// address", name)
}

func report(c *cobra.Command, d *materialize.Difference, sides [2]materialize.Side) error {
	if d.Hashes {
		say(c, "content_hash alone is compared: a snapshot was written with --no-files")
	} else {
		say(c, "%d rows differ of %d compared", d.Differ, d.Compared)
	}
	say(c, "A %s  content_hash %s", sides[0].Name(), d.HashA)
	say(c, "B %s  content_hash %s", sides[1].Name(), d.HashB)
	if d.NotFinal > 0 {
		say(c, "%d rows are not final yet and were not compared", d.NotFinal)
	}
	if d.Outside > 0 {
		say(c, "%d rows lie at window ends that the other side does not hold", d.Outside)
	}
	if len(d.Damaged) == 0 && d.Compared == 0 {
		return fmt.Errorf("nothing could be compared: the outputs have no final rows at the same window ends")
	}
	if d.Same() {
		return nil
	}
	if !d.Hashes {
		counted(c, d)
	}
	causes(c, sides)
	return verdict(d)
}

// counted prints what differs.
func counted(c *cobra.Command, d *materialize.Difference) {
	say(c, "only in A: %d, only in B: %d", d.OnlyA, d.OnlyB)
	for _, name := range slices.Sorted(maps.Keys(d.Columns)) {
		say(c, "  %s: %d rows", name, d.Columns[name])
	}
	for _, example := range d.Examples {
		say(c, "  %s", example)
	}
}

// verdict is the error of outputs that are not the same.
func verdict(d *materialize.Difference) error {
	texts := slices.Clone(d.Damaged)
	switch {
	case d.Hashes && d.HashA != d.HashB:
		texts = append(texts, "the rows differ: content_hash is not the same")
	case d.Differ > 0:
		texts = append(texts, fmt.Sprintf("%d rows differ", d.Differ))
	}
	return errors.New(strings.Join(texts, "\n"))
}

// causes prints what the two outputs say differently of themselves.
func causes(c *cobra.Command, sides [2]materialize.Side) {
	a, b := sides[0].Facts(), sides[1].Facts()
	for _, fact := range slices.Sorted(maps.Keys(a)) {
		if other, known := b[fact]; known && other != a[fact] {
			say(c, "possible cause: %s: A has %s, B has %s", fact, a[fact], other)
		}
	}
	for i, facts := range []map[string]string{a, b} {
		if late := facts["late records"]; late != "" && late != "0" {
			say(c, "possible cause: %s left out %s late records", "AB"[i:i+1], late)
		}
	}
}
