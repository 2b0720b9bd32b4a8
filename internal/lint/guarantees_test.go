package lint

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

var (
	testNames = regexp.MustCompile("`(Test[A-Za-z0-9_]+)`")
	tableRule = regexp.MustCompile(`^\|[-|]+\|$`)
)

// Each promise of docs/guarantees.md names a test, and each test that it names is
// there.
func TestGuaranteesNameTests(t *testing.T) {
	_, here, _, _ := runtime.Caller(0)
	root := filepath.Join(filepath.Dir(here), "..", "..")
	files, err := Read(root)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]bool{}
	for _, f := range files {
		if f.Go == nil || !f.test() {
			continue
		}
		for _, d := range f.Go.Decls {
			if d, is := d.(*ast.FuncDecl); is {
				tests[d.Name.Name] = true
			}
		}
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", "guarantees.md"))
	if err != nil {
		t.Fatal(err)
	}
	promises := 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "| promise |") || tableRule.MatchString(line) {
			continue
		}
		promises++
		named := testNames.FindAllStringSubmatch(line, -1)
		if len(named) == 0 {
			t.Errorf("no test shows: %s", line)
		}
		for _, name := range named {
			if !tests[name[1]] {
				t.Errorf("there is no test %s: %s", name[1], line)
			}
		}
	}
	if promises < 20 {
		t.Errorf("%d promises", promises)
	}
}
