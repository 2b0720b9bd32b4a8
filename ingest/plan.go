package ingest

import "github.com/hextide/hextide/pipeline"

// SchemaOf is what a plan's source says about bytes.
func SchemaOf(source *pipeline.SourcePlan) Schema {
	s := Schema{
		Format: Format(source.Format),
		Time:   source.EventTime.Field, Unit: Unit(source.EventTime.Unit),
		Lat: source.Location.Lat, Lng: source.Location.Lng, Cell: source.Location.Cell,
	}
	for _, f := range source.Fields {
		s.Fields = append(s.Fields, Field{Name: f.Name, Kind: f.Kind, Scale: f.Scale})
	}
	return s
}

// KeyOf names the fields of the key that a record of a plan's source must have in
// Kafka, so that all events of a dedup key come from one partition; nil: any will do.
func KeyOf(source *pipeline.SourcePlan) []string {
	if source.Dedup == nil {
		return nil
	}
	var names []string
	for _, i := range source.Dedup.By {
		names = append(names, source.Fields[i].Name)
	}
	return names
}
