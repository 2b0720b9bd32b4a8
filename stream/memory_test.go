package stream

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hextide/hextide/geo"
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
	about      string
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
	return map[string]any{"partitions": len(s.partitions), "about": s.about}, nil
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
	objects     map[string]map[string][]byte // by name: entries by key; nil: removed
	pointer     []byte
	prepared    []byte
	log         []ControlEntry
	full        int // so many writes fail
	disk        *memoryDisk
	abortAfter  time.Duration // the power is cut; 0: it is not
}

func newMemoryStore() *memoryStore {
	return &memoryStore{power: &power{}, objects: map[string]map[string][]byte{}, disk: &memoryDisk{}}
}

func (s *memoryStore) Start(context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.incarnation++
	return s.incarnation, nil
}

// GoOn makes a prepared pointer that was committed the newest.
func (s *memoryStore) GoOn(_ context.Context, committed *Committed) (*Pointer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	prepared := s.prepared
	s.prepared = nil
	if prepared != nil && committed != nil {
		if p, err := decodePointer(prepared); err != nil || p.Is(committed) {
			s.pointer = prepared
			return p, err
		}
	}
	if s.pointer == nil {
		if committed != nil && committed.Epoch > 0 {
			return nil, fmt.Errorf("%w: committed was %s", ErrDisagree, committed)
		}
		return nil, nil
	}
	p, err := decodePointer(s.pointer)
	if err == nil && committed != nil && !p.Is(committed) {
		err = fmt.Errorf("%w: held is %s, committed was %s", ErrDisagree, p.Commits(), committed)
	}
	return p, err
}

func decodePointer(text []byte) (*Pointer, error) {
	p := &Pointer{}
	err := json.Unmarshal(text, p)
	return p, err
}

func (s *memoryStore) Prepare(_ context.Context, p *Pointer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.power.on(); err != nil {
		return err
	}
	var err error
	s.prepared, err = json.Marshal(p)
	return err
}

func (s *memoryStore) Write(_ context.Context, epoch int64, g *Generation) (Chain, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.power.on(); err != nil {
		return nil, err
	}
	if s.full > 0 {
		s.full--
		return nil, errors.New("no space left on device")
	}
	o := Object{Name: fmt.Sprintf("%s/%d/%d", g.Owner, epoch, len(s.objects)), Epoch: epoch, Size: int64(len(g.Entries))}
	s.objects[o.Name] = applied(map[string][]byte{}, g)
	return append(slices.Clone(g.Chain), o), nil
}

func (s *memoryStore) Read(_ context.Context, _ string, chain Chain, each func(key, value []byte) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string][]byte{}
	for _, o := range chain {
		entries, ok := s.objects[o.Name]
		if !ok {
			return fmt.Errorf("no object %s", o.Name)
		}
		maps.Copy(all, entries)
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if all[key] == nil {
			continue
		}
		if err := each([]byte(key), all[key]); err != nil {
			return err
		}
	}
	return nil
}

// applied adds a generation to entries by key; a key that is removed has nil.
func applied(to map[string][]byte, g *Generation) map[string][]byte {
	for _, key := range g.Removed {
		to[string(key)] = nil
	}
	for _, e := range g.Entries {
		to[string(e.Key)] = e.Value
	}
	return to
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

// Entries keeps from a restart all that the pointer says it contains.
func (s *memoryStore) Entries(context.Context) (int64, []ControlEntry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &Pointer{}
	if s.pointer != nil {
		if err := json.Unmarshal(s.pointer, p); err != nil {
			return 0, nil, err
		}
	}
	n := p.Control
	if n == 0 {
		return 0, slices.Clone(s.log), nil
	}
	newest := int64(0)
	for _, e := range s.log[:n] {
		if e.Kind == ControlStart {
			newest = max(newest, e.Incarnation)
		}
	}
	start := ControlEntry{Partition: -1, Kind: ControlStart, Incarnation: newest}
	return n - 1, append([]ControlEntry{start}, s.log[n:]...), nil
}

func (s *memoryStore) Close() error { return nil }

// rowKey says whose row it is.
type rowKey struct {
	end        int64
	resolution int
	cell       geo.Cell
}

// memorySink keeps the last revision of every row.
type memorySink struct {
	name string
	memorySinkState
	disk   *memoryDisk
	fail   error
	cannot int // so many checkpoints fail
	pace   time.Duration
}

// memorySinkState is what it leaves at a checkpoint.
type memorySinkState struct {
	rows map[rowKey]string // the columns' bits
	dead int
	late []int64 // event times
}

// memoryDisk is where the states of checkpoints stay when a sink is gone.
type memoryDisk struct {
	mu     sync.Mutex
	states []memorySinkState
}

func newMemorySink() *memorySink {
	return &memorySink{name: "memory", disk: &memoryDisk{}, memorySinkState: memorySinkState{rows: map[rowKey]string{}}}
}

func (s *memorySink) Name() string { return s.name }

func (s *memorySink) Write(_ context.Context, o *Output) error {
	time.Sleep(s.pace)
	for _, r := range o.Rows {
		if r.Empty {
			continue
		}
		for i, c := range r.Cells {
			var bits []byte
			for _, v := range r.Columns {
				if v.Null(i) {
					bits = append(bits, 0)
				} else {
					bits = binary.BigEndian.AppendUint64(append(bits, 1), v.Bits(i))
				}
			}
			s.rows[rowKey{r.WindowEnd, r.Resolution, c}] = string(bits)
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
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	s.disk.states = append(s.disk.states, memorySinkState{maps.Clone(s.rows), s.dead, slices.Clone(s.late)})
	return json.Marshal(len(s.disk.states) - 1)
}

func (s *memorySink) Restore(_ context.Context, state []byte) error {
	if state == nil {
		return nil
	}
	var n int
	if err := json.Unmarshal(state, &n); err != nil {
		return err
	}
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	st := s.disk.states[n]
	s.memorySinkState = memorySinkState{maps.Clone(st.rows), st.dead, slices.Clone(st.late)}
	return nil
}

func (s *memorySink) Close() error { return nil }

// differs says how the rows up to a window end, the dead letters and the late
// records differ from those of another sink; "": not at all.
func (s *memorySink) differs(from *memorySink, final int64) string {
	var lines []string
	for k, v := range s.rows {
		if w, ok := from.rows[k]; k.end <= final && (!ok || v != w) {
			lines = append(lines, fmt.Sprintf("%v: %x, not %x", k, v, w))
		}
	}
	for k, w := range from.rows {
		if _, ok := s.rows[k]; k.end <= final && !ok {
			lines = append(lines, fmt.Sprintf("%v: missing, not %x", k, w))
		}
	}
	slices.Sort(lines)
	slices.Sort(s.late)
	slices.Sort(from.late)
	if s.dead != from.dead || !slices.Equal(s.late, from.late) {
		lines = append(lines, fmt.Sprintf("%d dead, not %d; late %v, not %v", s.dead, from.dead, s.late, from.late))
	}
	const shown = 20
	if n := len(lines); n > shown {
		lines = append(lines[:shown], fmt.Sprintf("and %d more", n-shown))
	}
	return strings.Join(lines, "\n")
}

// mapTable is a Table in a map.
type mapTable map[string][]byte

var errNoValue = errors.New("the key has no value")

func (t mapTable) Get(dst, key []byte) ([]byte, error) {
	value, known := t[string(key)]
	if !known {
		return nil, errNoValue
	}
	return append(dst, value...), nil
}

func (t mapTable) Set(key, value []byte) error {
	t[string(key)] = slices.Clone(value)
	return nil
}

func (t mapTable) Delete(key []byte) error {
	delete(t, string(key))
	return nil
}
