package main

import (
	"context"

	"github.com/hextide/hextide/ingest"
	"github.com/hextide/hextide/pipeline"
)

// openTopic makes the Kafka source of a run.
func openTopic(ctx context.Context, plan *pipeline.Plan, s *kafkaSettings, bounded bool, batch int) (*ingest.Kafka, error) {
	topic, err := s.named(plan)
	if err != nil {
		return nil, err
	}
	return ingest.NewKafka(ctx, ingest.SchemaOf(&plan.Source), ingest.KafkaOptions{
		Cluster: s.cluster, Topic: topic, MaxAhead: plan.Source.MaxAhead, Bounded: bounded, Batch: batch,
	})
}
