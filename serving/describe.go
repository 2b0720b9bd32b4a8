package serving

import (
	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/pipeline"
	pb "github.com/hextide/hextide/proto/hextide/v1"
	"google.golang.org/protobuf/types/known/durationpb"
)

// describe writes a plan down as the service tells it.
func describe(plan *pipeline.Plan, version string) *pb.DescribeResponse {
	d := &pb.DescribeResponse{
		Pipeline: plan.Name, PlanHash: plan.Hash, Resolution: int32(plan.Grid.Resolution),
		Pane: durationpb.New(plan.Pane), Definition: plan.Text, Version: version,
	}
	for _, r := range plan.Grid.Parents {
		d.Parents = append(d.Parents, int32(r))
	}
	for _, k := range plan.Grid.Rings {
		d.Rings = append(d.Rings, int32(k))
	}
	for _, w := range plan.Windows {
		d.Windows = append(d.Windows, durationpb.New(w))
	}
	for _, c := range plan.Columns {
		info := &pb.ColumnInfo{Name: c.Name, Kind: "int64", Origin: c.Origin.String(), Description: c.Description}
		if c.Kind == column.Float {
			info.Kind = "float64"
		}
		if c.Origin == pipeline.FromAggregate {
			info.Aggregate = plan.Layout.Aggregates[c.Index].Name
			info.Ring, info.Window = int32(plan.Grid.Rings[c.Ring]), durationpb.New(plan.Windows[c.Window])
		}
		d.Columns = append(d.Columns, info)
	}
	for _, m := range plan.Models {
		d.Models = append(d.Models, &pb.ModelInfo{Name: m.Name, Kind: m.Kind, Target: plan.Columns[m.Target].Name, Window: durationpb.New(m.Window())})
	}
	return d
}
