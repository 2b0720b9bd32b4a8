package stream

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// arrival is an event, and when it can be read, counted from the source's start.
type arrival struct {
	testEvent
	after time.Duration
}

// memorySource keeps its partitions' records in memory.
type memorySource struct {
	partitions [][]arrival
	batch      int
	bounded    bool
	started    time.Time
	fail       error // what Read returns at the end in place of io.EOF
}

func (s *memorySource) Partitions(context.Context) ([]Partition, error) {
	var ps []Partition
	for i, p := range s.partitions {
		ps = append(ps, Partition{ID: int32(i), End: int64(len(p))})
	}
	return ps, nil
}

func (s *memorySource) Open(_ context.Context, partition int32, position int64) (Reader, error) {
	return &memoryReader{s: s, records: s.partitions[partition], at: int(position)}, nil
}

func (s *memorySource) Describe(context.Context) (any, error) {
	return map[string]any{"partitions": len(s.partitions)}, nil
}

func (s *memorySource) Close() error { return nil }

type memoryReader struct {
	s       *memorySource
	records []arrival
	at      int
}

func (r *memoryReader) Read(ctx context.Context, b *Batch) error {
	if r.at == len(r.records) {
		switch {
		case r.s.fail != nil:
			return r.s.fail
		case r.s.bounded:
			return io.EOF
		}
		<-ctx.Done()
		return ctx.Err()
	}
	if wait := r.records[r.at].after - time.Since(r.s.started); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	var events []testEvent
	from := r.at
	for ; r.at < len(r.records) && len(events) < r.s.batch && r.records[r.at].after <= time.Since(r.s.started); r.at++ {
		events = append(events, r.records[r.at].testEvent)
	}
	*b = *makeBatch(events, from)
	return ctx.Err()
}

func (r *memoryReader) Progress() int64 { return int64(r.at) }
func (r *memoryReader) Close() error    { return nil }

// power is what a crash cuts: nothing becomes durable afterwards.
type power struct {
	mu  sync.Mutex
	off bool
}

var errPower = errors.New("the power is off")

func (p *power) on() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.off {
		return errPower
	}
	return nil
}

func (p *power) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.off = true
}

// memoryStore is Generations and ControlLog.
type memoryStore struct {
	mu          sync.Mutex
	power       *power
	incarnation int64
	objects     map[string][]Entry
	pointer     []byte
	log         []ControlEntry
	full        int // so many writes fail
}

func newMemoryStore() *memoryStore {
	return &memoryStore{power: &power{}, objects: map[string][]Entry{}}
}

func (s *memoryStore) Start(context.Context) (int64, *Pointer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.incarnation++
	if s.pointer == nil {
		return s.incarnation, nil, nil
	}
	p := &Pointer{}
	err := json.Unmarshal(s.pointer, p)
	return s.incarnation, p, err
}

func (s *memoryStore) Write(_ context.Context, epoch int64, owner string, entries []Entry) (Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.power.on(); err != nil {
		return Object{}, err
	}
	if s.full > 0 {
		s.full--
		return Object{}, errors.New("no space left on device")
	}
	o := Object{Name: fmt.Sprintf("%s/%d/%d", owner, epoch, len(s.objects)), Size: int64(len(entries))}
	entries = slices.Clone(entries)
	slices.SortFunc(entries, func(a, b Entry) int { return bytes.Compare(a.Key, b.Key) })
	s.objects[o.Name] = entries
	return o, nil
}

func (s *memoryStore) Read(_ context.Context, o Object, each func(key, value []byte) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	entries, ok := s.objects[o.Name]
	if !ok {
		return fmt.Errorf("no object %s", o.Name)
	}
	for _, e := range entries {
		if err := each(e.Key, e.Value); err != nil {
			return err
		}
	}
	return nil
}

func (s *memoryStore) Commit(_ context.Context, p *Pointer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.power.on(); err != nil {
		return err
	}
	text, err := json.Marshal(p)
	s.pointer = text
	return err
}

func (s *memoryStore) Append(_ context.Context, e ControlEntry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.power.on(); err != nil {
		return err
	}
	s.log = append(s.log, e)
	return nil
}

func (s *memoryStore) Entries(context.Context) ([]ControlEntry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log), nil
}

func (s *memoryStore) Close() error { return nil }

// memorySink keeps the last revision of every row, as text.
type memorySink struct {
	name   string
	rows   map[string]string
	dead   int
	late   []int64 // event times
	fail   error
	cannot int // so many checkpoints fail
	pace   time.Duration
}

// memorySinkState is what it leaves at a checkpoint.
type memorySinkState struct {
	Rows map[string]string
	Dead int
	Late []int64
}

func newMemorySink() *memorySink { return &memorySink{name: "memory", rows: map[string]string{}} }

func (s *memorySink) Name() string { return s.name }

func (s *memorySink) Write(_ context.Context, o *Output) error {
	time.Sleep(s.pace)
	for _, r := range o.Rows {
		if r.Empty {
			continue
		}
		for i, c := range r.Cells {
			var values []string
			for _, v := range r.Columns {
				if v.Null(i) {
					values = append(values, "null")
				} else {
					values = append(values, fmt.Sprintf("%x", v.Bits(i)))
				}
			}
			s.rows[fmt.Sprintf("%016d %d %x", r.WindowEnd, r.Resolution, uint64(c))] = strings.Join(values, " ")
		}
	}
	s.dead += len(o.Dead)
	for _, l := range o.Late {
		s.late = append(s.late, l.Time)
	}
	return s.fail
}

func (s *memorySink) Checkpoint(context.Context, int64) ([]byte, error) {
	if s.cannot > 0 {
		s.cannot--
		return nil, errors.New("no space left on device")
	}
	return json.Marshal(memorySinkState{s.rows, s.dead, s.late})
}

func (s *memorySink) Restore(_ context.Context, state []byte) error {
	if state == nil {
		return nil
	}
	var st memorySinkState
	if err := json.Unmarshal(state, &st); err != nil {
		return err
	}
	s.rows, s.dead, s.late = st.Rows, st.Dead, st.Late
	return nil
}

func (s *memorySink) Close() error { return nil }

// String is all rows, in order.
func (s *memorySink) String() string {
	var lines []string
	for k, v := range s.rows {
		lines = append(lines, k+": "+v)
	}
	slices.Sort(lines)
	slices.SortFunc(s.late, func(a, b int64) int { return cmp.Compare(a, b) })
	return fmt.Sprintf("%s\ndead %d, late %v", strings.Join(lines, "\n"), s.dead, s.late)
}
