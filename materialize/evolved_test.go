package materialize

import (
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/stream"
)

// evolvedPlan is a plan with a column more.
func evolvedPlan(t *testing.T, plan *pipeline.Plan) *pipeline.Plan {
	t.Helper()
	text := strings.Replace(plan.Text, "aggregates:", "aggregates:\n  - {name: other, op: count, where: \"1 == 1\"}", 1)
	now, err := pipeline.Load([]byte(text), "evolved.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return now
}

// A run that goes on with another definition writes beside the pair of before and
// then switches; rows that waited for Redis had the columns of before, and do not
// come into the new pair.
func TestRedisEvolves(t *testing.T) {
	server, cells := miniredis.RunT(t), someCells(t)
	c := clientOf(t, server.Addr())
	plan := planOf(t, own("evolves"), "none", "json")
	r := toRedis(t, server.Addr(), plan, nil, RedisOptions{})
	deliver(t, r, outputOf(plan, simple(plan, noon, 0, 1, cells...)))
	settled(t, r)
	before := r.pair()
	server.Close()
	deliver(t, r, outputOf(plan, simple(plan, noon+minute, 0, 2, cells...)))
	state, err := r.Checkpoint(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	now := evolvedPlan(t, plan)
	again := toRedis(t, server.Addr(), now, state, RedisOptions{})
	if waiting, _, _ := again.Waiting(); waiting > 0 || again.pair() == before {
		t.Errorf("%d rows wait for %s", waiting, again.pair())
	}
	if p := get(t, c, plan, cells[0]); p == nil || p.Bits[0] != 1 {
		t.Errorf("before the first row the old pair holds %+v", p)
	}
	deliver(t, again, outputOf(now, simple(now, noon+2*minute, 0, 3, cells[:1]...)))
	settled(t, again)
	eventually(t, "the new pair is named", func() bool { return c.Get(t.Context(), plan.Name).Val() == again.pair() })
	if p := get(t, c, now, cells[0]); p == nil || len(p.Bits) != len(now.Columns) || p.Bits[0] != 3 {
		t.Errorf("the new pair holds %+v", p)
	}
	if p := get(t, c, now, cells[1]); p != nil {
		t.Errorf("a row of before the change came into the new pair: %+v", p)
	}
	same := toRedis(t, server.Addr(), plan, state, RedisOptions{})
	if waiting, _, _ := same.Waiting(); waiting != len(cells) || same.pair() != before {
		t.Errorf("with the definition of before %d rows wait for %s", waiting, same.pair())
	}
}

// A snapshot has one set of columns: another definition needs another folder.
func TestSnapshotDoesNotEvolve(t *testing.T) {
	plan := planOf(t, "snapshot", "none", "json")
	dir := t.TempDir()
	s, err := NewSnapshot(dir, plan, SnapshotOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Restore(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	state, err := s.Checkpoint(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*pipeline.Plan{plan, evolvedPlan(t, plan)} {
		s, err := NewSnapshot(dir, p, SnapshotOptions{})
		if err != nil {
			t.Fatal(err)
		}
		err = s.Restore(t.Context(), state)
		if refused := err != nil && strings.Contains(err.Error(), "--out"); refused != (p != plan) {
			t.Errorf("%s: %v", p.Hash, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A feed's schema says until when a column that was added is incomplete.
func TestFeedSaysIncomplete(t *testing.T) {
	plan := planOf(t, "feed", "t", "json")
	for _, e := range []feedEncoder{newProtoEncoder(plan), newJSONEncoder(plan)} {
		value, err := e.schema(2, []stream.IncompleteColumn{{Column: "share", Until: noon}})
		if err != nil {
			t.Fatal(err)
		}
		d := &feedDecoder{}
		if _, err := d.decode(value); err != nil {
			t.Fatal(err)
		}
		for _, c := range d.schema.Columns {
			want := int64(0)
			if c.Name == "share" {
				want = noon
			}
			if c.IncompleteUntilUs != want {
				t.Errorf("%s is incomplete until %d", c.Name, c.IncompleteUntilUs)
			}
		}
	}
}
