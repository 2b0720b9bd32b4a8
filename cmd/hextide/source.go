package main

import (
	"context"

	"github.com/hextide/hextide/ingest"
	"github.com/hextide/hextide/pipeline"
)

// recordSchema is what a codec must know of a plan.
func recordSchema(plan *pipeline.Plan) ingest.Schema {
	s := ingest.Schema{
		Format: ingest.Format(plan.Source.Format), Time: plan.Source.EventTime.Field, Unit: ingest.Unit(plan.Source.EventTime.Unit),
		Lat: plan.Source.Location.Lat, Lng: plan.Source.Location.Lng, Cell: plan.Source.Location.Cell,
	}
	for _, f := range plan.Source.Fields {
		s.Fields = append(s.Fields, ingest.Field(f))
	}
	return s
}

// openTopic makes the Kafka source of a run.
func openTopic(ctx context.Context, plan *pipeline.Plan, s *kafkaSettings, bounded bool, batch int) (*ingest.Kafka, error) {
	topic, err := s.named(plan)
	if err != nil {
		return nil, err
	}
	return ingest.NewKafka(ctx, recordSchema(plan), ingest.KafkaOptions{
		Cluster: s.cluster, Topic: topic, MaxAhead: plan.Source.MaxAhead, Bounded: bounded, Batch: batch,
	})
}
