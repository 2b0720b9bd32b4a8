package lint

import (
	"go/ast"
	"path"
	"slices"
	"strconv"
	"strings"
)

const module = "github.com/hextide/hextide/"

// lines gives each top folder its line of ARCHITECTURE.md. A package imports
// only from lines before its own. What the wire and the page are made of is no
// business of the core, so it comes with the drivers' line.
var lines = map[string]int{
	"exact": 1, "column": 1, "geo": 1,
	"aggregate": 2, "features": 2, "models": 2,
	"pipeline": 3,
	"stream":   4, "proto": 4, "web": 4,
	"ingest": 5, "statebackend": 5, "materialize": 5, "serving": 5,
	"internal": 6,
	"examples": 6,
	"cmd":      7, "bench": 7,
}

// importers are the folders that alone may import one: the wire's messages end
// where rows leave the process or are asked for, and one package shows the page.
var importers = map[string][]string{
	"proto": {"materialize", "serving", "cmd", "bench"},
	"web":   {"serving", "cmd"},
}

// importDirections also refuses a new top folder without a line. Support for
// tests (packages whose name ends with "test") counts as tests, which may import
// sideways and from internal, but not what lies on later lines, unless they are
// packages of their own outside (stream_test), which no cycle can run through.
func importDirections(files []*File) []string {
	return each(files, func(f *File) []string {
		own, known := lines[f.top()]
		if !known {
			return []string{f.at(f.Go.Package, "the folder %q has no line in the import directions", f.top())}
		}
		if strings.HasSuffix(f.Go.Name.Name, "_test") {
			return nil
		}
		tests := f.test() || strings.HasSuffix(f.Go.Name.Name, "test")
		var found []string
		for _, spec := range f.Go.Imports {
			target, inside := strings.CutPrefix(importPath(spec), module)
			top, _, _ := strings.Cut(target, "/")
			if !inside || top == f.top() {
				continue
			}
			wrong := lines[top] >= own && (!tests || lines[top] > own && top != "internal")
			if few, limited := importers[top]; wrong || limited && !slices.Contains(few, f.top()) {
				found = append(found, f.at(spec.Pos(), "%s may not import %s", f.folder(), target))
			}
		}
		return found
	})
}

func importPath(spec *ast.ImportSpec) string {
	text, _ := strconv.Unquote(spec.Path.Value) // the parser has checked it
	return text
}

// localName is the name under which a file imports a package, or "".
func localName(f *File, imported string) string {
	for _, spec := range f.Go.Imports {
		if importPath(spec) != imported {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path.Base(imported)
	}
	return ""
}
