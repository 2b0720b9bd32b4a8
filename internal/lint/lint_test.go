package lint

import (
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestTreeKeepsTheRules(t *testing.T) {
	_, here, _, _ := runtime.Caller(0)
	files, err := Read(filepath.Join(filepath.Dir(here), "..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 50 {
		t.Fatalf("only %d files: this is not the tree", len(files))
	}
	for _, rule := range Rules() {
		t.Run(strings.ReplaceAll(rule.Name, " ", "_"), func(t *testing.T) {
			for _, found := range rule.Check(files) {
				t.Error(found)
			}
		})
	}
}

// bad is a source that breaks one rule, and only it.
type bad struct {
	rule, path, text string
}

const (
	comment = "// Package geo is here for the test.\npackage geo\n"
	ingest  = "// Package ingest is here for the test.\npackage ingest\n"
)

func badSources() []bad {
	many := func(line string, n int) string { return strings.Repeat(line, n) }
	return []bad{
		{"size of files", "geo/a.go", comment + many("\n", 599)},
		{"size of functions", "geo/a.go", comment + "func f() {" + many("\n", 60) + "}\n"},
		{"size of structs", "geo/a.go", comment + "type s struct { a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p int }\n"},
		{"size of interfaces", "geo/a.go", comment + "type i interface { A(); B(); C(); D(); E(); F(); G(); H() }\n"},
		{"import direction", "geo/a.go", comment + `import _ "github.com/hextide/hextide/stream"` + "\n"},
		{"import direction", "geo/a.go", comment + `import _ "github.com/hextide/hextide/column"` + "\n"},
		{"import direction", "geo/a_test.go", comment + `import _ "github.com/hextide/hextide/stream"` + "\n"},
		{"import direction", "ingest/a.go", ingest + `import _ "github.com/hextide/hextide/internal/oracle"` + "\n"},
		{"import direction", "ingest/a.go", ingest + `import _ "github.com/hextide/hextide/proto/hextide/v1"` + "\n"},
		{"import direction", "elsewhere/a.go", "// Package elsewhere has no line.\npackage elsewhere\n"},
		{"purity", "geo/a.go", comment + "import \"time\"\nvar x = time.Now\n"},
		{"purity", "geo/a.go", comment + "import clock \"time\"\nfunc f() { clock.Sleep(1) }\n"},
		{"purity", "geo/a.go", comment + "import _ \"math/rand/v2\"\n"},
		{"purity", "geo/a.go", comment + "import _ \"os\"\n"},
		{"purity", "geo/a.go", comment + "import _ \"net/http\"\n"},
		{"purity", "geo/a.go", comment + "import _ \"sync/atomic\"\n"},
		{"purity", "geo/a.go", comment + "func f() { go f() }\n"},
		{"purity", "stream/shard_open.go", strings.ReplaceAll(comment, "geo", "stream") + "func f() { go f() }\n"},
		{"purity", "stream/anything.go", strings.ReplaceAll(comment, "geo", "stream") + "import \"time\"\nvar x = time.Now\n"},
		{"order of maps", "geo/a.go", comment + "type set map[int]bool\nfunc f(s set) { for range s { } }\n"},
		{"order of maps", "stream/shard_open.go", strings.ReplaceAll(comment, "geo", "stream") + "import \"maps\"\nfunc f(s map[int]int) { for range maps.Keys(s) { } }\n"},
		{"exact mathematics", "geo/a.go", comment + "import \"math\"\nvar x = math.Exp(1)\n"},
		{"exact mathematics", "geo/a.go", comment + "import m \"math\"\nvar x = m.FMA(1, 2, 3)\n"},
		{"names", "geo/util.go", comment},
		{"names", "geo/disk_helpers_test.go", comment},
		{"names", "scripts/common/a.sh", "echo\n"},
		{"names", "geo/disk_v2.go", comment},
		{"names", "geo/a.go", strings.ReplaceAll(comment, "geo", "manager")},
		{"package comments", "geo/a.go", "package geo\n"},
		{"package comments", "geo/a.go", "// Everything.\npackage geo\n"},
		{"comments of exported identifiers", "geo/a.go", comment + "func F() {}\n"},
		{"comments of exported identifiers", "geo/a.go", comment + "type T int\n"},
		{"comments of exported identifiers", "geo/a.go", comment + "// All of it.\ntype (\n\tT int\n)\n"},
		{"comments of exported identifiers", "geo/a.go", comment + "const C = 1\n"},
		{"comments of exported identifiers", "geo/a.go", comment + "// T is.\ntype T[A any] struct{}\nfunc (t *T[A]) M() {}\n"},
		{"paths of a machine", "README.md", "see /wor" + "k/main\n"},
		{"paths of a machine", "geo/a.go", comment + "const path = \"/hom" + "e/someone/x\"\n"},
		{"paths of a machine", "a.sh", "cd /roo" + "t/x\n"},
		{"package registries", "web/package-lock.json", "https://registry.npm" + "js.org/x\n"},
		{"package registries", "pip.conf", "index = http://artif" + "actory.example.net/x\n"},
		{"package registries", "pip.conf", "index = http://debian-mirr" + "or.example.net/x\n"},
		{"loose ends", "geo/a.go", comment + "// TO" + "DO: later\n"},
		{"loose ends", "a.sh", "# FIX" + "ME\n"},
		{"loose ends", "geo/a.go", comment + "var x = \"not " + "implemented\"\n"},
		{"skipped tests", "geo/a_test.go", comment + "import \"testing\"\nfunc TestX(t *testing.T) { t.Skip(\"no\") }\n"},
		{"skipped tests", "internal/x/a.go", strings.ReplaceAll(comment, "geo", "x") + "import \"testing\"\nfunc x(tb testing.TB) { tb.SkipNow() }\n"},
	}
}

func TestEachRuleFindsABadSource(t *testing.T) {
	tried := map[string]bool{}
	for _, b := range badSources() {
		tried[b.rule] = true
		for _, rule := range Rules() {
			found := rule.Check(parse(t, b.path, b.text))
			if rule.Name == b.rule && len(found) != 1 {
				t.Errorf("%s found %q in %s:\n%s", rule.Name, found, b.path, b.text)
			}
			if rule.Name != b.rule && len(found) != 0 {
				t.Errorf("%s, not %s, found %q in %s:\n%s", rule.Name, b.rule, found, b.path, b.text)
			}
		}
	}
	for _, rule := range Rules() {
		if !tried[rule.Name] {
			t.Errorf("no bad source for %s", rule.Name)
		}
	}
}

func TestRulesSpareGoodSources(t *testing.T) {
	good := []bad{
		{"", "geo/a.go", comment + longest()},
		{"", "geo/a.go", comment + "// S is short.\ntype S struct{}\n"},
		{"", "geo/a.go", comment + "// These are.\nconst (\n\tA = 1\n\tB = 2\n)\ntype t int\nfunc (t) M() {}\n"},
		{"", "geo/a_test.go", comment + "import (\n\t\"math\"\n\t\"os\"\n\t\"time\"\n\t\"github.com/hextide/hextide/column\"\n\t\"github.com/hextide/hextide/internal/oracle\"\n)\nvar a = math.Exp(1)\nvar b = os.Args\nvar c = time.Now\nvar d column.X\nvar e oracle.X\nfunc f() { go f() }\n"},
		{"", "geo/tables_base.go", comment + "import \"math\"\nvar a = math.Sin(1)\n"},
		{"", "geo/a.go", comment + "import (\n\t\"math\"\n\t\"time\"\n)\nvar a = math.Sqrt(2)\nvar b = time.Second\n"},
		{"", "ingest/a.go", ingest + "import (\n\t\"os\"\n\t\"github.com/hextide/hextide/stream\"\n\t\"github.com/hextide/hextide/ingest/inside\"\n)\nvar a = os.Args\nvar b stream.X\nvar c inside.X\n"},
		{"", "geo/a.go", comment + "import (\n\t\"maps\"\n\t\"slices\"\n)\nfunc f(s map[int]int) { for range slices.Sorted(maps.Keys(s)) { } }\n"},
		{"", "stream/runner_x.go", strings.ReplaceAll(comment, "geo", "stream") + "import \"time\"\nvar a = time.Now\nfunc f() { go f() }\n"},
		{"", "serving/a.go", strings.ReplaceAll(comment, "geo", "serving") + "import _ \"github.com/hextide/hextide/proto/hextide/v1\"\n"},
		{"", "proto/x/v1/a.pb.go", "// Code generated by protoc-gen-go. DO NOT EDIT.\npackage x\nfunc F() {}\n"},
		{"", "README.md", "in ../net" + "work/x, $ROOT/wor" + "k/x, https://host.example/hom" + "e/x/y, utility\n"},
	}
	for _, g := range good {
		for _, rule := range Rules() {
			if found := rule.Check(parse(t, g.path, g.text)); len(found) != 0 {
				t.Errorf("%s found %q in %s:\n%s", rule.Name, found, g.path, g.text)
			}
		}
	}
}

// longest is a function that just fits.
func longest() string { return "func f() {" + strings.Repeat("\n", 59) + "}\n" }

func parse(t *testing.T, path, text string) []*File {
	t.Helper()
	f, err := NewFile(path, text)
	if err != nil {
		t.Fatal(err)
	}
	return []*File{f}
}
