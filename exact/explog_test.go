package exact

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

const precision = 300

func bigFloat(x float64) *big.Float { return new(big.Float).SetPrec(precision).SetFloat64(x) }

func newBig() *big.Float { return new(big.Float).SetPrec(precision) }

// bigLogNear is ln of x in [1/2, 2] by 2 artanh((x−1)/(x+1)).
func bigLogNear(x *big.Float) *big.Float {
	z := newBig().Quo(newBig().Sub(x, bigFloat(1)), newBig().Add(x, bigFloat(1)))
	square, term, sum := newBig().Mul(z, z), newBig().Set(z), newBig()
	for k := 1; term.Sign() != 0 && term.MantExp(nil) > -precision-20+z.MantExp(nil); k += 2 {
		sum.Add(sum, newBig().Quo(term, bigFloat(float64(k))))
		term.Mul(term, square)
	}
	return sum.Mul(sum, bigFloat(2))
}

var bigLn2 = bigLogNear(bigFloat(2))

func bigLog(x float64) *big.Float {
	mantissa := newBig()
	exponent := bigFloat(x).MantExp(mantissa)
	return newBig().Add(bigLogNear(mantissa), newBig().Mul(bigLn2, bigFloat(float64(exponent))))
}

// bigExp sums the series of e^(x / 2^20 − k ln 2 / 2^20) and squares it 20 times.
func bigExp(x float64) *big.Float {
	k := math.Round(x / math.Ln2)
	r := newBig().Sub(bigFloat(x), newBig().Mul(bigLn2, bigFloat(k)))
	r.SetMantExp(r, -20)
	sum, term := bigFloat(1), bigFloat(1)
	for i := 1; i < 20; i++ {
		term.Quo(term.Mul(term, r), bigFloat(float64(i)))
		sum.Add(sum, term)
	}
	for range 20 {
		sum.Mul(sum, sum)
	}
	return sum.SetMantExp(sum, int(k))
}

// ulps is |got − want| in units of the last place of want.
func ulps(got float64, want *big.Float) float64 {
	nearest, _ := want.Float64()
	unit := math.Nextafter(math.Abs(nearest), math.Inf(1)) - math.Abs(nearest)
	if nearest == 0 {
		unit = math.SmallestNonzeroFloat64
	}
	difference, _ := newBig().Quo(newBig().Sub(bigFloat(got), want), bigFloat(unit)).Float64()
	return math.Abs(difference)
}

func TestExpWithinOneUlp(t *testing.T) {
	points := []float64{0, 1, -1, .5, math.Ln2, -math.Ln2, 709.78, 709.7827128933840, -708.3, -708.4, -740,
		-745.13, 1e-300, -1e-300, 1e-17, -1e-17, 5e-324, 0x1p-53, -0x1p-54, 700, -700}
	random := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		points = append(points, random.Float64()*1400-700, random.NormFloat64(), random.NormFloat64()*1e-3)
	}
	for range 300 {
		points = append(points, -708-37*random.Float64()) // results below the normal range
	}
	worst := 0.0
	for _, x := range points {
		off := ulps(Exp(x), bigExp(x))
		if off >= 1 {
			t.Fatalf("Exp(%v) = %v is off by %.3f ulp", x, Exp(x), off)
		}
		worst = max(worst, off)
	}
	t.Logf("Exp: worst error %.3f ulp of %d points", worst, len(points))
}

func TestLogWithinOneUlp(t *testing.T) {
	points := []float64{1, 2, .5, math.E, 5e-324, 1e-310, 0x1p-1022, math.MaxFloat64, 10, 1e-4, 1e9,
		math.Nextafter(1, 0), math.Nextafter(1, 2), 1 + 1.0/32, 1 - 1.0/32, 31.0 / 32, math.Nextafter(33.0/32, 2)}
	random := rand.New(rand.NewPCG(3, 4))
	for range 20000 {
		points = append(points, math.Float64frombits(random.Uint64N(0x7ff0000000000000)+1),
			1+random.NormFloat64()*.02, math.Exp(random.NormFloat64()*5))
	}
	worst := 0.0
	for _, x := range points {
		if x <= 0 || x > math.MaxFloat64 {
			continue
		}
		off := ulps(Log(x), bigLog(x))
		if x == 1 {
			off = math.Abs(Log(x))
		}
		if off >= 1 {
			t.Fatalf("Log(%v) = %v is off by %.3f ulp", x, Log(x), off)
		}
		worst = max(worst, off)
	}
	t.Logf("Log: worst error %.3f ulp of %d points", worst, len(points))
}

func TestExpLogEdges(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct{ got, want float64 }{
		{Exp(inf), inf}, {Exp(-inf), 0}, {Exp(710), inf}, {Exp(-746), 0}, {Exp(0), 1}, {Exp(math.Copysign(0, -1)), 1},
		{Log(inf), inf}, {Log(0), -inf}, {Log(math.Copysign(0, -1)), -inf}, {Log(1), 0}, {HalfLife(1), .5},
	} {
		if c.got != c.want {
			t.Errorf("got %v, want %v", c.got, c.want)
		}
	}
	for _, nan := range []float64{Exp(math.NaN()), Log(math.NaN()), Log(-1), Log(-inf)} {
		if nan == nan {
			t.Errorf("got %v, want NaN", nan)
		}
	}
	if Exp(expOverflow) == inf || Exp(math.Nextafter(expOverflow, inf)) != inf {
		t.Error("Exp overflows at the wrong argument")
	}
	if Exp(math.Nextafter(expUnderflow, 0)) == 0 || Exp(math.Nextafter(expUnderflow, -inf)) != 0 {
		t.Error("Exp underflows at the wrong argument")
	}
}

func TestTablesAreWhatTheySay(t *testing.T) {
	root := bigFloat(2)
	for range 6 {
		root = newBig().Sqrt(root)
	}
	power := bigFloat(1)
	for j, entry := range exp2Table {
		checkPieces(t, "2^(j/64)", j, entry, power)
		power.Mul(power, root)
	}
	for j, entry := range logTable {
		checkPieces(t, "ln(1+j/128)", j, entry, bigLogNear(bigFloat(1+float64(j)/128)))
		if entry[0]*0x1p42 != math.Trunc(entry[0]*0x1p42) {
			t.Errorf("ln(1+%d/128): first piece is no multiple of 2^-42", j)
		}
	}
	checkPieces(t, "ln 2", 0, [2]float64{ln2High, ln2Low}, bigLn2)
	checkPieces(t, "64 steps", 0, [2]float64{64 * stepHigh, 64 * stepLow}, bigLn2)
}

func checkPieces(t *testing.T, what string, j int, pieces [2]float64, want *big.Float) {
	t.Helper()
	rest := newBig().Sub(want, bigFloat(pieces[0]))
	low, _ := rest.Float64()
	if low != pieces[1] {
		t.Errorf("%s at %d: %v, want %v", what, j, pieces[1], low)
	}
}
