package features

import "testing"

func TestNearest(t *testing.T) {
	candidates := []string{"sqrt", "taxi_id", "occupied", "n_k0_w1m", "n_k0_w2m", "i", ""}
	for name, want := range map[string]string{
		"sqr": "sqrt", "qsrt": "sqrt", "ocupied": "occupied", "ocuppied": "occupied", "taxi": "", "taxiid": "taxi_id",
		"n_k0_w3m": "n_k0_w1m", "n_k1_w15m": "n_k0_w1m", "k": "", "": "", "entirely_other": "", "öccupied": "occupied",
	} {
		if got := Nearest(name, candidates); got != want {
			t.Errorf("%q: %q, expected %q", name, got, want)
		}
	}
}
