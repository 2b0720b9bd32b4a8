package pipeline

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hextide/hextide/column"
	"pgregory.net/rapid"
)

func TestDurationsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, 1<<40).Draw(t, "ms")) * time.Millisecond
		if got, err := ParseDuration(FormatDuration(d)); err != nil || got != d {
			t.Fatalf("%v is written %s, which is %v (%v)", d, FormatDuration(d), got, err)
		}
	})
	for text, want := range map[string]string{"90s": "90s", "60s": "1m", "60m": "1h", "24h": "1d", "168h": "7d", "1500ms": "1500ms", "240s": "4m", "0d": "0s"} {
		if d, err := ParseDuration(text); err != nil || FormatDuration(d) != want {
			t.Errorf("%s is %s (%v), expected %s", text, FormatDuration(d), err, want)
		}
	}
	for _, text := range []string{"", "5", "s", "-5s", "+5s", "5 s", "1.5h", "5S", "1h30m", "999999999999999d", "٣s"} {
		if d, err := ParseDuration(text); err == nil {
			t.Errorf("%q is accepted as %v", text, d)
		}
	}
}

func TestColumnsAreInOrder(t *testing.T) {
	p := load(t, strings.Replace(hashed, "resolution: 9", "resolution: 9, rings: [0, 2]", 1))
	var names []string
	for _, c := range p.Columns {
		names = append(names, c.Name)
	}
	want := strings.Fields("n_k0_w1m n_k0_w1h n_k2_w1m n_k2_w1h free_k0_w1m free_k0_w1h free_k2_w1m free_k2_w1h share " +
		"next next_lo next_hi next_at next_miss next_up next_down next_up_start next_down_start")
	if !slices.Equal(names, want) {
		t.Errorf("%v\nexpected %v", names, want)
	}
	for i, kind := range map[int]column.Kind{0: column.Int, 8: column.Float, 9: column.Float, 10: column.Int, 12: column.Int, 13: column.Int, 14: column.Float} {
		if p.Columns[i].Kind != kind {
			t.Errorf("%s is %v", p.Columns[i].Name, p.Columns[i].Kind)
		}
	}
	if !p.ZeroWhenEmpty(0) || p.ZeroWhenEmpty(8) || p.ZeroWhenEmpty(9) {
		t.Error("counts alone are 0 where nothing has come")
	}
	if m := p.Models[0]; m.Target != 1 || m.First != 9 || m.Count != 9 || m.Window() != time.Hour || m.Options.Parent != 7 {
		t.Errorf("%+v", m)
	}
}

func TestDefaults(t *testing.T) {
	p := load(t, hashed)
	s := p.Source
	if s.OutOfOrder != 0 || s.AllowedLateness != 0 || s.IdleAfter != time.Minute || s.MaxAhead != time.Hour || s.NotBefore != 946684800e6 {
		t.Errorf("%+v", s)
	}
	if p.Pane != time.Minute || !slices.Equal(p.Grid.Rings, []int{0}) || !p.Grid.Neighborhood {
		t.Errorf("%v, %+v", p.Pane, p.Grid)
	}
	if !slices.Equal(s.Dedup.By, []int{0, 1}) || s.Dedup.Within != 2*time.Minute {
		t.Errorf("%+v", s.Dedup)
	}
}

// A row is known from the end of its dedup span on, and what may be out of order
// or late.
func TestAvailableAt(t *testing.T) {
	p := load(t, strings.Replace(hashed, "  format", "  out_of_order: 30s\n  allowed_lateness: 10s\n  format", 1))
	for end, want := range map[int64]int64{0: 40e6, 60e6: 160e6, 120e6: 160e6} {
		if got := p.AvailableAt(end); got != want {
			t.Errorf("%d: %d, expected %d", end, got, want)
		}
	}
	if p.FinalLag() != 0 {
		t.Errorf("with dedup rows are final at once, not %v later", p.FinalLag())
	}
}

func TestManyColumnsAreRefused(t *testing.T) {
	var text strings.Builder
	text.WriteString("version: 1\nname: a\nsource: {format: csv, event_time: {field: ts, unit: s}, location: {lat: a, lng: b}}\ngrid: {resolution: 9, rings: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]}\nwindows: {sizes: [1m, 2m, 3m, 4m, 5m, 6m, 7m, 8m, 9m, 10m]}\naggregates:\n")
	for i := range 101 {
		text.WriteString("  - {name: n" + strings.Repeat("x", i/26) + string(rune('a'+i%26)) + ", op: count}\n")
	}
	_, err := Load([]byte(text.String()), "a.yaml")
	if want := "a.yaml:7:3: aggregates, rings and windows make 10100 columns, at most 10000 are allowed"; err == nil || err.Error() != want {
		t.Errorf("%v\nexpected %s", err, want)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(hashed))
	for _, pattern := range []string{"../examples/*.yaml", "../examples/checks/*.yaml"} {
		names, _ := filepath.Glob(pattern)
		for _, name := range names {
			if text, err := os.ReadFile(name); err == nil {
				f.Add(text)
			}
		}
	}
	f.Add([]byte("a: [1, {b: *c}]\n? x\n: !!str &d y\n<<: {}\n"))
	f.Add([]byte("version: |\n  1\nname: >-\n  a\nsource: \"\\u0000\"\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Load(text, "a.yaml")
		var wrong *Errors
		switch {
		case err == nil:
			if p.Describe() == "" || len(p.Hash) != 32 {
				t.Error("a plan that says nothing")
			}
		case !errors.As(err, &wrong) || len(wrong.Issues) == 0:
			t.Errorf("%v", err)
		default:
			for _, issue := range wrong.Issues {
				if issue.Line < 1 || issue.Column < 1 || issue.What == "" {
					t.Errorf("%+v", issue)
				}
			}
		}
	})
}

// Nesting without end is refused before it is parsed.
func TestDeepNestingIsRefused(t *testing.T) {
	for _, text := range []string{strings.Repeat("[", 200_000), strings.Repeat("{a: ", 200_000), strings.Repeat("- ", 200_000)} {
		_, err := Load([]byte("version: 1\n"+text), "a.yaml")
		if err == nil || !strings.Contains(err.Error(), "a.yaml:2:") || !strings.Contains(err.Error(), "nested deeper than 100 levels") {
			t.Errorf("%.10s…: %v", text, err)
		}
	}
	if _, deep := tooDeep([]byte("# " + strings.Repeat("-", 200) + "\na: {b: [c]}\n- d\n- e\n")); deep {
		t.Error("a usual text is too deep")
	}
}
