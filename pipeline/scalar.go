package pipeline

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/hextide/hextide/column"
)

// Duration is a length of time as definitions write it: 90s, 4m, 1h, 7d.
type Duration time.Duration

var durationForm = regexp.MustCompile(`^([0-9]{1,15})(ms|s|m|h|d)$`)

var durationUnits = map[string]time.Duration{
	"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour,
}

// ParseDuration reads a whole number and a unit: ms, s, m, h or d.
func ParseDuration(text string) (time.Duration, error) {
	parts := durationForm.FindStringSubmatch(text)
	if parts == nil {
		return 0, fmt.Errorf("expected a duration like 90s, 4m, 1h or 7d, found %q", text)
	}
	n, err := strconv.ParseInt(parts[1], 10, 64)
	if unit := durationUnits[parts[2]]; err == nil && n <= math.MaxInt64/int64(unit) {
		return time.Duration(n) * unit, nil
	}
	return 0, fmt.Errorf("the duration %q is too long", text)
}

// FormatDuration prints a duration in the largest unit that divides it.
func FormatDuration(d time.Duration) string {
	for _, unit := range []string{"d", "h", "m", "s", "ms"} {
		if u := durationUnits[unit]; d != 0 && d%u == 0 {
			return strconv.FormatInt(int64(d/u), 10) + unit
		}
	}
	if d == 0 {
		return "0s"
	}
	return d.String()
}

// FieldType is the type of an event's field.
type FieldType struct {
	Name  string
	Kind  column.Kind
	Scale int // Decimal only
}

// Fields are the fields of the events in the definition's order.
type Fields []FieldType

// maxScale is the greatest number of digits behind a decimal's point.
const maxScale = 18

// parseFieldType reads string, int, float, bool or decimal(SCALE).
func parseFieldType(name, text string) (FieldType, error) {
	for _, k := range []column.Kind{column.String, column.Int, column.Float, column.Bool} {
		if text == k.String() {
			return FieldType{Name: name, Kind: k}, nil
		}
	}
	if digits, is := strings.CutPrefix(text, "decimal("); is {
		scale, err := strconv.Atoi(strings.TrimSuffix(digits, ")"))
		if err == nil && strings.HasSuffix(digits, ")") && scale >= 0 && scale <= maxScale {
			return FieldType{Name: name, Kind: column.Decimal, Scale: scale}, nil
		}
		return FieldType{}, fmt.Errorf("expected decimal(SCALE) with a scale of 0 to %d, found %q", maxScale, text)
	}
	what := fmt.Sprintf("expected string, int, float, bool or decimal(SCALE), found %q", text)
	return FieldType{}, fmt.Errorf("%s%s", what, meant(text, []string{"string", "int", "float", "bool", "decimal"}))
}

// TypeName is the type as definitions write it.
func (f FieldType) TypeName() string {
	if f.Kind == column.Decimal {
		return fmt.Sprintf("decimal(%d)", f.Scale)
	}
	return f.Kind.String()
}
