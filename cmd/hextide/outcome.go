package main

import (
	"maps"
	"slices"

	"github.com/hextide/hextide/stream"
	"github.com/spf13/cobra"
)

// sayAside says how many records of a run that has ended made no row, why, and
// where they are.
func sayAside(c *cobra.Command, s *stream.Summary, dead, late string) {
	for _, reason := range slices.Sorted(maps.Keys(s.Dead)) {
		if n := s.Dead[reason]; n > 0 {
			say(c, "%d records are dead letters (%s): %s", n, reason, dead)
		}
	}
	if s.Counts.Late > 0 {
		say(c, "%d events were late: %s", s.Counts.Late, late)
	}
}
