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
		t.Logf("%s\n%s", name, p.Describe())
	}
}
