package models

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"github.com/hextide/hextide/geo"
)

// Every processor and every build has these bits: run with GOAMD64=v1 and v3, and on arm64. A change of
// the model changes them, and with it the meaning of stored states: raise the state's version then.
func TestBitsAreTheSameInEveryBuild(t *testing.T) {
	const want = "712a7cbd1d70239a4d5c6f60717e95dd331982f7719eb6af630e898c8e22936c"
	city := newSynthetic(60, 6*time.Hour)
	d := newModel(t, 6*time.Hour, "America/Los_Angeles")
	var cells []geo.Cell
	var counts []int64
	hash := sha256.New()
	for step := range 200 {
		cells, counts = city.counts(step, cells[:0], counts[:0])
		d.Step(int64(step+1)*city.window*1e6, cells, counts)
		hash.Write(appendInOne(d, nil))
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != want {
		t.Errorf("the states' sha256 is %s, want %s", got, want)
	}
}
