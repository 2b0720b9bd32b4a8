package exact

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"testing"
)

// Every processor and every build has these bits: run with GOAMD64=v1 and v3, and on arm64.
func TestBitsAreTheSameInEveryBuild(t *testing.T) {
	const want = "e39146cae0df4ef60e14bbaebffb28a745c0b9774b540d45cc02844b2304db86"
	hash := sha256.New()
	var word [8]byte
	for i := range uint64(100000) {
		draw := Splitmix64(i)
		x := float64(int64(draw))
		for _, v := range []float64{Exp(x * 0x1p-54), Exp(x * 0x1p-60), Log(math.Abs(x)), Log(1 + x*0x1p-66)} {
			binary.LittleEndian.PutUint64(word[:], math.Float64bits(v))
			hash.Write(word[:])
		}
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != want {
		t.Errorf("the values' sha256 is %s, want %s", got, want)
	}
}
