package pipeline

import (
	"os"
	"path/filepath"
	"testing"
)

func TestExamplesAreValid(t *testing.T) {
	names, err := filepath.Glob("../examples/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	checks, err := filepath.Glob("../examples/checks/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(names, checks...) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		p, err := Load(text, name)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if len(p.Warnings) > 0 {
			t.Errorf("%s: %v", name, p.Warnings)
		}
		if got, want := len(p.Columns), map[string]int{"j1": 2, "j2": 6, "j3": 54, "j3-live": 54, "demand-sf": 10, "demand-nyc": 10}[p.Name]; want != 0 && got != want {
			t.Errorf("%s has %d columns, expected %d", name, got, want)
		}
	}
}

// The jobs of the golden results have the columns that these are named after.
func TestGoldenColumns(t *testing.T) {
	for name, want := range map[string][]string{
		"j1": {"n_k0_w1m", "occ_k0_w1m"},
		"j2": {"n_k0_w1m", "n_k0_w2m", "n_k0_w4m", "n_k0_w8m", "n_k0_w16m", "n_k0_w32m"},
		"j3": {"n_k0_w1m", "n_k0_w2m", "n_k0_w4m", "n_k0_w8m", "n_k0_w16m", "n_k0_w32m", "n_k1_w1m"},
	} {
		text, err := os.ReadFile("../examples/checks/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		for i, column := range want {
			if got := load(t, string(text)).Columns[i].Name; got != column {
				t.Errorf("%s: column %d is %s, expected %s", name, i, got, column)
			}
		}
	}
}
