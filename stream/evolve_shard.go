package stream

import (
	"encoding/binary"
	"fmt"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/geo"
)

// shard translates a shard's entries, whichever order they are in. Running windows
// are sums of panes and need no translation.
func (e *evolution) shard(entries []Entry) ([]Entry, error) {
	if e == nil {
		return entries, nil
	}
	held, err := e.survey(entries)
	if err != nil {
		return nil, err
	}
	out := make([]Entry, 0, len(entries))
	for _, entry := range entries {
		translated, keep, err := e.shardEntry(entry, held)
		if err != nil {
			return nil, fmt.Errorf("translating %x from the definition %s: %w", entry.Key, e.old.Hash, err)
		}
		if keep {
			out = append(out, translated)
		}
	}
	return out, nil
}

// surveyed is what the translation of an entry must know of others.
type surveyed struct {
	ends map[uint64]int64 // by territory: where its final windows end
	done int64            // provisional frontier up to which everything is closed
}

// survey reads it.
func (e *evolution) survey(entries []Entry) (*surveyed, error) {
	held := &surveyed{ends: map[uint64]int64{}, done: NoTime}
	for _, entry := range entries {
		if len(entry.Key) != shardKeyBytes {
			return nil, fmt.Errorf("%w: a key of %d bytes", ErrState, len(entry.Key))
		}
		if err := hasVersion(entry.Value, shardStateVersion); err != nil {
			return nil, err
		}
		r := &entryReader{in: entry.Value[1:]}
		switch entry.Key[0] {
		case tableTerritory:
			id, _, _ := splitShardKey(entry.Key)
			held.ends[id] = r.time()
		case tableShard:
			_, _, held.done = r.time(), r.time(), r.time() // asked, then done
		}
		if r.err != nil {
			return nil, r.err
		}
	}
	return held, nil
}

// splitShardKey takes a key of shardKey apart.
func splitShardKey(k []byte) (territory, cell uint64, time int64) {
	return binary.BigEndian.Uint64(k[1:]), binary.BigEndian.Uint64(k[9:]), int64(binary.BigEndian.Uint64(k[17:]) ^ 1<<63)
}

// shardEntry translates one entry, or drops it.
func (e *evolution) shardEntry(entry Entry, held *surveyed) (Entry, bool, error) {
	id, cell, time := splitShardKey(entry.Key)
	r := &entryReader{in: entry.Value[1:]}
	w := &entryWriter{out: []byte{shardStateVersion}}
	switch entry.Key[0] {
	case tableTerritory:
		e.territory(r, w, held.done)
	case tablePane:
		if end, known := held.ends[id]; known && end != NoTime && time < end-e.now.WidestWindow().Microseconds() {
			return entry, false, nil
		}
		e.pane(r, w)
	case tableSaid:
		e.said(r, w)
	case tableModel, tableForecast:
		if cell >= uint64(len(e.models)) {
			return entry, false, fmt.Errorf("%w: there was no model %d", ErrState, cell)
		}
		to := e.models[cell]
		return Entry{Key: shardKey(entry.Key[0], geo.Territory(id), uint64(to), time), Value: entry.Value}, to != none, nil
	default:
		return entry, true, nil
	}
	return Entry{Key: entry.Key, Value: w.out}, true, r.end()
}

// territory keeps where windows end and what was told, by level. Where provisional
// rows come first, all of them up to done that are not final may have changed, and
// those that are new are told when final: nothing comes behind the frontier.
func (e *evolution) territory(r *entryReader, w *entryWriter, done int64) {
	ends := []int64{NoTime}
	if e.now.FinalLag() > 0 {
		ends = append(ends, done)
	}
	for i := range ends {
		ends[i] = max(ends[i], r.time())
		w.time(ends[i])
		live := make([][]geo.Cell, 1+len(e.old.Grid.Parents))
		for i := range live {
			live[i] = r.cells()
		}
		for _, from := range e.levels {
			if from == none {
				w.cells(nil)
			} else {
				w.cells(live[from])
			}
		}
	}
	var touched spans
	touched.load(r)
	if len(ends) > 1 && ends[1] > ends[0] {
		touched.add(ends[0]+1, ends[1])
	}
	touched.save(w)
}

// pane keeps the cells and the measures that both plans have.
func (e *evolution) pane(r *entryReader, w *entryWriter) {
	n := r.length(1)
	w.number(uint64(n))
	for range n {
		w.number(r.number())
	}
	old := make([]aggregate.MeasureColumn, len(e.old.Layout.Measures))
	for m := range old {
		old[m] = r.measure(n)
	}
	if r.err != nil {
		return
	}
	for m, from := range e.measures {
		c := aggregate.MeasureColumn{}
		if from != none {
			c = old[from]
		} else {
			empty := uint64(identity(e.now.Layout.Measures[m].Kind))
			for range n {
				c.Lo = append(c.Lo, empty)
			}
		}
		w.measure(&c)
	}
}

// said keeps which entities were told of, without what they were told: so they
// are all told again, and those that have ceased are told that.
func (e *evolution) said(r *entryReader, w *entryWriter) {
	old := make([]saidLevel, 1+len(e.old.Grid.Parents))
	for i := range old {
		old[i].load(r)
	}
	for _, from := range e.levels {
		level := saidLevel{}
		if from != none {
			level = old[from]
		}
		for i := range level.rows {
			level.rows[i].hash.Lo, level.rows[i].hash.Hi = 0, 0
		}
		level.save(w)
	}
}
