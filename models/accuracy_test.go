package models

import (
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/uber/h3-go/v4"

	"github.com/hextide/hextide/exact"
	"github.com/hextide/hextide/geo"
)

// city is a file of events as counts of windows, by their start in unix seconds.
type city struct {
	window      int64
	first, last int64 // starts
	counts      map[int64]map[geo.Cell]int64
}

// readCity reads columns lat, lng and a time (unix seconds or RFC 3339) at resolution 8.
func readCity(t *testing.T, path, timeColumn string, window time.Duration) city {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	rows := csv.NewReader(unzipped)
	head, err := rows.Read()
	c := city{window: int64(window / time.Second), first: math.MaxInt64, counts: map[int64]map[geo.Cell]int64{}}
	at, lat, lng := slices.Index(head, timeColumn), slices.Index(head, "lat"), slices.Index(head, "lng")
	for err == nil {
		var row []string
		if row, err = rows.Read(); err == nil {
			err = c.add(row[at], row[lat], row[lng])
		}
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return c
}

func (c *city) add(at, lat, lng string) error {
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		moment, err := time.Parse(time.RFC3339, at)
		if err != nil {
			return err
		}
		seconds = moment.Unix()
	}
	y, wrongLat := strconv.ParseFloat(lat, 64)
	x, wrongLng := strconv.ParseFloat(lng, 64)
	cell, wrongCell := h3.LatLngToCell(h3.NewLatLng(y, x), 8)
	if err := errors.Join(wrongLat, wrongLng, wrongCell); err != nil {
		return err
	}
	c.count(seconds/c.window*c.window, geo.Cell(cell), 1)
	return nil
}

func (c *city) count(start int64, cell geo.Cell, n int64) {
	if c.counts[start] == nil {
		c.counts[start] = map[geo.Cell]int64{}
	}
	c.counts[start][cell] += n
	c.first, c.last = min(c.first, start), max(c.last, start)
}

// busy is the cells with at least n events within [from, to).
func (c *city) busy(n, from, to int64) map[geo.Cell]bool {
	sums := map[geo.Cell]int64{}
	for start, counts := range c.counts {
		if start >= from && start < to {
			for cell, count := range counts {
				sums[cell] += count
			}
		}
	}
	busy := map[geo.Cell]bool{}
	for cell, sum := range sums {
		if sum >= n {
			busy[cell] = true
		}
	}
	return busy
}

// accuracy is what a run measured of some cells within a period.
type accuracy struct {
	model, last, day, week   Tally
	events                   float64
	missed, judged           float64 // tracked intervals, of all cells
	within, width, forecasts float64 // intervals of whole numbers
}

// measure runs the model over a city and scores [from, to).
func measure(t *testing.T, d *Demand, c city, scored map[geo.Cell]bool, from, to int64) accuracy {
	t.Helper()
	var a accuracy
	past := func(tally *Tally, y float64, start int64, cell geo.Cell) {
		n := max(emptyBaseline, float64(c.counts[start][cell]))
		tally.add(y, n, exact.Log(n))
	}
	for start := c.first; start <= c.last; start += c.window {
		inside := start >= from && start < to
		for i, cell := range d.Cells() {
			if !inside || !scored[cell] {
				continue
			}
			y, mu := float64(c.counts[start][cell]), max(lowestForecast, d.Outputs().Mu[i])
			a.model.add(y, mu, exact.Log(mu))
			past(&a.last, y, start-c.window, cell)
			past(&a.day, y, start-daySeconds, cell)
			past(&a.week, y, start-weekDays*daySeconds, cell)
			a.events += y
			a.forecasts++
			a.width += float64(d.Outputs().Hi[i] - d.Outputs().Lo[i])
			if y >= float64(d.Outputs().Lo[i]) && y <= float64(d.Outputs().Hi[i]) {
				a.within++
			}
		}
		cells := ascending(slices.Collect(maps.Keys(c.counts[start])))
		counts := make([]int64, len(cells))
		for i, cell := range cells {
			counts[i] = c.counts[start][cell]
		}
		d.Step((start+c.window)*microseconds, cells, counts)
		for i := range d.Cells() {
			if inside && d.Outputs().MissValid[i] {
				a.judged++
				a.missed += float64(d.Outputs().Miss[i])
			}
		}
	}
	return a
}

// log prints the rows of docs/demand.md: deviance / MAE / WAPE.
func (a accuracy) log(t *testing.T, what string) {
	row := func(tally Tally) string {
		return fmt.Sprintf("%.4f / %.4f / %.4f", tally.MeanDeviance(), tally.MeanAbsolute(), tally.Absolute/a.events)
	}
	t.Logf("%s, %.0f forecasts: model %s; last value %s; a day before %s; a week before %s; bias %+.4f; misses %.4f; whole intervals hold %.4f, width %.2f",
		what, a.forecasts, row(a.model), row(a.last), row(a.day), row(a.week), a.model.MeanBias(), a.missed/a.judged, a.within/a.forecasts, a.width/a.forecasts)
}

func unix(t *testing.T, text string) int64 {
	t.Helper()
	moment, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return moment.Unix()
}

// TestAccuracy holds the model against its baselines over the last two days of the trace's counts, which
// it cannot know. With HEXTIDE_SHARED it also measures the whole files there (docs/demand.md).
func TestAccuracy(t *testing.T) {
	tr := loadTrace(t, filepath.Join("testdata", "demand_trace.json.gz"))
	slice := city{window: tr.WindowS, first: math.MaxInt64, counts: map[int64]map[geo.Cell]int64{}}
	for w, counts := range tr.Counts {
		for i, n := range counts {
			if n > 0 {
				slice.count(tr.T0+int64(w)*tr.WindowS, parseCell(t, tr.Cells[i]), n)
			}
		}
	}
	all := slice.busy(1, 0, math.MaxInt64)
	a := measure(t, newModel(t, 15*time.Minute, tr.Zone), slice, all, slice.last-2*daySeconds, math.MaxInt64)
	a.log(t, "the trace's cells")
	if a.model.MeanDeviance() > .65*min(a.last.MeanDeviance(), a.day.MeanDeviance(), a.week.MeanDeviance()) {
		t.Error("the model is hardly better than its baselines")
	}
	if shared := os.Getenv("HEXTIDE_SHARED"); shared != "" {
		measureFiles(t, filepath.Join(shared, "data"))
	}
}

// measureFiles measures the cells and periods that the model was designed with.
func measureFiles(t *testing.T, folder string) {
	for _, c := range []struct {
		file, column, zone                     string
		window                                 time.Duration
		least                                  int64
		countFrom, countTo, scoreFrom, scoreTo string
		cells                                  int
		deviance                               float64 // at most
	}{
		{"sf-pickups-2008-05-17_06-05.csv.gz", "ts", "America/Los_Angeles", 15 * time.Minute, 100,
			"2008-05-17T00:00:00Z", "2008-05-24T00:00:00Z", "2008-05-31T00:00:00Z", "2008-06-06T00:00:00Z", 81, 1.075},
		{"sf-pickups-2008-05-17_06-05.csv.gz", "ts", "America/Los_Angeles", 5 * time.Minute, 100,
			"2008-05-17T00:00:00Z", "2008-05-24T00:00:00Z", "2008-05-31T00:00:00Z", "2008-06-06T00:00:00Z", 81, .795},
		{"nyc-uber-b02512-2014-04_08.csv.gz", "pickup_at", "America/New_York", 15 * time.Minute, 50,
			"2014-04-01T04:00:00Z", "2014-05-01T04:00:00Z", "2014-08-01T04:00:00Z", "2014-09-01T04:00:00Z", 79, .397},
	} {
		events := readCity(t, filepath.Join(folder, c.file), c.column, c.window)
		scored := events.busy(c.least, unix(t, c.countFrom), unix(t, c.countTo))
		a := measure(t, newModel(t, c.window, c.zone), events, scored, unix(t, c.scoreFrom), unix(t, c.scoreTo))
		a.log(t, fmt.Sprintf("%s by %v, %d cells", c.file, c.window, len(scored)))
		if len(scored) != c.cells || a.model.MeanDeviance() > c.deviance {
			t.Errorf("%s: deviance %.4f of %d cells, want at most %v of %d", c.file, a.model.MeanDeviance(), len(scored), c.deviance, c.cells)
		}
		if share := a.missed / a.judged; math.Abs(share-missRate) > .01 {
			t.Errorf("%s: %.4f of the intervals missed", c.file, share)
		}
	}
}
