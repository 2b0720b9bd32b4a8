package materialize

import (
	"cmp"
	"maps"
	"slices"

	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/stream"
)

// told is how far a shard's rows were told to the readers of a feed.
type told struct {
	Shard       int32           `json:"shard"`
	Provisional int64           `json:"provisional_us"`   // the shard's last frontier
	Final       int64           `json:"final_us"`         //
	Beyond      []toldTerritory `json:"beyond,omitempty"` // where rows are told already that no frontier covers yet
}

// toldTerritory is a territory's last window end that was told, by revision.
type toldTerritory struct {
	Territory geo.Territory `json:"territory"`
	First     int64         `json:"revision_0_us"`
	Second    int64         `json:"revision_1_us"`
}

// tellings are the tolds of all shards.
type tellings map[int32]*told

func (all tellings) of(shard int32) *told {
	t := all[shard]
	if t == nil {
		t = &told{Shard: shard, Provisional: stream.NoTime, Final: stream.NoTime}
		all[shard] = t
	}
	return t
}

// note enters what an output tells.
func (all tellings) note(o *stream.Output) {
	for _, rows := range o.Rows {
		at := all.of(rows.Shard).territory(rows.Territory)
		if rows.Revision == 0 {
			at.First = max(at.First, rows.WindowEnd)
		} else {
			at.Second = max(at.Second, rows.WindowEnd)
		}
	}
	if f := o.Frontier; f != nil {
		t := all.of(f.Shard)
		t.Provisional, t.Final = max(t.Provisional, f.Provisional), max(t.Final, f.Final)
		t.Beyond = slices.DeleteFunc(t.Beyond, func(at toldTerritory) bool { return at.First <= t.Provisional && at.Second <= t.Final })
	}
}

func (t *told) territory(id geo.Territory) *toldTerritory {
	i, found := slices.BinarySearchFunc(t.Beyond, id, func(at toldTerritory, id geo.Territory) int { return cmp.Compare(at.Territory, id) })
	if !found {
		t.Beyond = slices.Insert(t.Beyond, i, toldTerritory{id, stream.NoTime, stream.NoTime})
	}
	return &t.Beyond[i]
}

// has tells whether rows were told.
func (all tellings) has(rows *stream.Rows) bool {
	t := all[rows.Shard]
	if t == nil {
		return false
	}
	first, second := t.Provisional, t.Final
	for _, at := range t.Beyond {
		if at.Territory == rows.Territory {
			first, second = max(first, at.First), max(second, at.Second)
		}
	}
	if rows.Revision == 0 {
		return rows.WindowEnd <= first
	}
	return rows.WindowEnd <= second
}

// with are the tellings of both.
func (all tellings) with(others tellings) tellings {
	both := all.clone()
	for shard, other := range others {
		t := both.of(shard)
		t.Provisional, t.Final = max(t.Provisional, other.Provisional), max(t.Final, other.Final)
		for _, beyond := range other.Beyond {
			at := t.territory(beyond.Territory)
			at.First, at.Second = max(at.First, beyond.First), max(at.Second, beyond.Second)
		}
	}
	return both
}

func (all tellings) clone() tellings {
	copied := tellings{}
	for shard, t := range all {
		c := *t
		c.Beyond = slices.Clone(t.Beyond)
		copied[shard] = &c
	}
	return copied
}

// passed tells whether the frontiers are beyond all that others told.
func (all tellings) passed(others tellings) bool {
	for shard, other := range others {
		t := all[shard]
		if t == nil || t.Provisional < other.Provisional || t.Final < other.last() {
			return false
		}
	}
	return true
}

// last is the greatest window end that was told at revision 0.
func (t *told) last() int64 {
	last := t.Provisional
	for _, at := range t.Beyond {
		last = max(last, at.First)
	}
	return last
}

// list gives the tellings ascending by shard, as they are kept.
func (all tellings) list() []told {
	var listed []told
	for _, shard := range slices.Sorted(maps.Keys(all)) {
		listed = append(listed, *all[shard])
	}
	return listed
}

func tellingsOf(listed []told) tellings {
	all := tellings{}
	for i := range listed {
		t := listed[i]
		all[t.Shard] = &t
	}
	return all
}

// silence is what an abandoned course of events has told and is not told again.
type silence struct {
	told      tellings        // rows
	positions map[int32]int64 // by partition: dead letters and late records before
}

func silenceOf(q *feedQuiet) silence {
	if q == nil {
		return silence{}
	}
	s := silence{told: tellingsOf(q.Told), positions: map[int32]int64{}}
	for _, p := range q.Partitions {
		s.positions[p.ID] = p.Position
	}
	return s
}

// kept is the silence as it is kept; nil: there is none.
func (s *silence) kept() *feedQuiet {
	if len(s.told)+len(s.positions) == 0 {
		return nil
	}
	q := &feedQuiet{Told: s.told.list()}
	for _, id := range slices.Sorted(maps.Keys(s.positions)) {
		q.Partitions = append(q.Partitions, stream.PartitionState{ID: id, Position: s.positions[id]})
	}
	return q
}

// unsaid leaves of an output what was not told before.
func (s *silence) unsaid(o *stream.Output) *stream.Output {
	left := *o
	if len(s.told) > 0 {
		left.Rows = slices.DeleteFunc(slices.Clone(o.Rows), s.told.has)
	}
	if len(s.positions) > 0 {
		left.Dead = slices.DeleteFunc(slices.Clone(o.Dead), func(d stream.DeadLetter) bool { return d.Position < s.positions[d.Partition] })
		left.Late = slices.DeleteFunc(slices.Clone(o.Late), func(l stream.LateRecord) bool { return l.Position < s.positions[l.Partition] })
	}
	return &left
}
