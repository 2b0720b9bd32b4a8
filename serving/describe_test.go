package serving

import (
	"testing"
	"time"

	pb "github.com/hextide/hextide/proto/hextide/v1"
	"github.com/hextide/hextide/stream"
)

// A column that was added not long ago says until when it is incomplete, and only
// while it is.
func TestDescribeIncomplete(t *testing.T) {
	plan := planOf(t, "0, 1", "1m, 5m")
	c := &core{}
	s := NewService(plan, NewStore(plan, Bounds{}), c, Limits{}, "test")
	until := func() (found []time.Time) {
		d, err := s.Describe(t.Context(), &pb.DescribeRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range d.Columns {
			if info.IncompleteUntil != nil {
				found = append(found, info.IncompleteUntil.AsTime())
			}
		}
		return found
	}
	c.incomplete = []stream.IncompleteColumn{{Column: plan.Columns[1].Name, Until: 5e6}}
	if found := until(); len(found) != 1 || found[0].Unix() != 5 {
		t.Errorf("incomplete until %v", found)
	}
	c.incomplete = nil
	if found := until(); len(found) != 0 {
		t.Errorf("incomplete until %v", found)
	}
}
