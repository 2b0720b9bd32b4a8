package simulation

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing/synctest"
	"time"

	"github.com/zeebo/xxh3"
)

// schedule lets one goroutine go on at a time. Each comes to turn when it begins
// and whenever it has waited, and waits there until it is picked. Time passes only
// while nobody waits to be picked, or where the seed wants a slow machine.
//
// What all draw from is drawn by the one that goes on, or by the schedule while
// nobody does. So the seed decides everything.
type schedule struct {
	rand    *rand.Rand
	started time.Time
	moody   bool // goes by moods, not by even chances
	moods   map[string]float64

	mu      sync.Mutex
	waiting []*waiting
	came    chan struct{} // somebody may be waiting
	steps   int
	alarm   int // the step at which alarmed is closed; 0: none
	alarmed chan struct{}
	trace   *xxh3.Hasher
	notes   []string // the last ones
}

// waiting is a goroutine that waits to be picked.
type waiting struct {
	who     string
	process *process // nil: it belongs to none
	picked  chan struct{}
}

func newSchedule(r *rand.Rand) *schedule {
	return &schedule{
		rand: r, started: time.Now(), moody: r.IntN(2) == 0, moods: map[string]float64{},
		came: make(chan struct{}, 1), trace: xxh3.New(),
	}
}

// turn returns when the goroutine may go on.
func (s *schedule) turn(p *process, who string) {
	w := &waiting{who: who, process: p, picked: make(chan struct{})}
	if p != nil {
		w.who = fmt.Sprintf("%d %s", p.number, who)
	}
	s.mu.Lock()
	s.waiting = append(s.waiting, w)
	s.mu.Unlock()
	select {
	case s.came <- struct{}{}:
	default:
	}
	<-w.picked
}

// sleep is for goroutines that are scheduled. No two of them wake at the same
// time, whose order nobody would decide.
func (s *schedule) sleep(p *process, who string, d time.Duration) {
	time.Sleep(d + time.Duration(s.rand.Int64N(int64(time.Millisecond))))
	s.turn(p, who)
}

// run schedules until over is closed.
func (s *schedule) run(over <-chan struct{}) {
	for {
		synctest.Wait()
		w := s.pick()
		switch {
		case w == nil:
			select {
			case <-s.came:
			case <-over:
				return
			}
		case s.rand.IntN(1000) == 0: // a slow machine: what is due comes meanwhile
			s.mu.Lock()
			s.waiting = append(s.waiting, w)
			s.mu.Unlock()
			time.Sleep(time.Duration(s.rand.Int64N(int64(time.Second))))
		default:
			close(w.picked)
		}
	}
}

// pick takes one of those that wait; nil: none does.
func (s *schedule) pick() *waiting {
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.SortStableFunc(s.waiting, func(a, b *waiting) int { return cmp.Compare(a.who, b.who) })
	var able []int
	for i, w := range s.waiting {
		if w.process == nil || !w.process.frozen {
			able = append(able, i)
		}
	}
	if len(able) == 0 {
		return nil
	}
	at := able[s.rand.IntN(len(able))]
	if s.moody {
		at = slices.MaxFunc(able, func(a, b int) int { return cmp.Compare(s.mood(a), s.mood(b)) })
	}
	w := s.waiting[at]
	s.waiting = slices.Delete(s.waiting, at, at+1)
	if s.steps++; s.steps == s.alarm {
		close(s.alarmed)
	}
	s.record(w.who)
	return w
}

// mood is how eager a goroutine is, which changes now and then.
func (s *schedule) mood(i int) float64 {
	who := s.waiting[i].who
	mood, known := s.moods[who]
	if !known || s.rand.IntN(30) == 0 {
		mood = s.rand.Float64()
		s.moods[who] = mood
	}
	return mood
}

// after is closed so many steps from now. One at a time asks for it.
func (s *schedule) after(steps int) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alarm, s.alarmed = s.steps+steps, make(chan struct{})
	return s.alarmed
}

// record adds a step to the trace.
func (s *schedule) record(text string) {
	var at [8]byte
	binary.LittleEndian.PutUint64(at[:], uint64(time.Since(s.started)))
	_, _ = s.trace.Write(at[:])
	_, _ = s.trace.WriteString(text)
}

// note records what happened, for those who look for the reason of a failure.
func (s *schedule) note(format string, args ...any) {
	const kept = 400
	s.mu.Lock()
	defer s.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	s.record(text)
	s.notes = append(s.notes, fmt.Sprintf("%10.3fs %s", time.Since(s.started).Seconds(), text))
	if len(s.notes) > 2*kept {
		s.notes = slices.Delete(s.notes, 0, kept)
	}
}
