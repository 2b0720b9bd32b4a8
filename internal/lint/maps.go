package lint

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/importer"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
)

// exports finds the compiled form of packages, by import path, for the types of
// the files that import them. The go command compiles what is not compiled yet.
var exports = sync.OnceValues(func() (importer.Lookup, error) {
	list := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}}={{.Export}}", module+"...")
	var failed bytes.Buffer
	list.Stderr = &failed
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w: %s", err, failed.Bytes())
	}
	files := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, file, _ := strings.Cut(strings.TrimSpace(line), "=")
		files[name] = file
	}
	return func(path string) (io.ReadCloser, error) {
		if files[path] == "" {
			return nil, fmt.Errorf("no package %s", path)
		}
		return os.Open(files[path])
	}, nil
})

// mapOrder holds that pure code does not range over a map, nor over what package
// maps makes of one: the order is random. slices.Sorted(maps.Keys(m)) is not.
func mapOrder(files []*File) []string {
	lookup, err := exports()
	if err != nil {
		return []string{err.Error()}
	}
	folders := map[string][]*File{}
	for _, f := range files {
		if f.Go != nil && !f.test() && holdsPure(f.top()) {
			folders[f.folder()] = append(folders[f.folder()], f)
		}
	}
	var found []string
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		found = append(found, mapRanges(folders[folder], importer.ForCompiler(positions, "gc", lookup))...)
	}
	return found
}

// holdsPure tells the packages that hold pure code.
func holdsPure(top string) bool { return lines[top] >= 1 && lines[top] <= 3 || top == "stream" }

// mapRanges is mapOrder for the files of one package.
func mapRanges(files []*File, from types.Importer) []string {
	var parsed []*ast.File
	for _, f := range files {
		parsed = append(parsed, f.Go)
	}
	info := types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	check := types.Config{Importer: from, Error: func(error) {}} // where a type stays unknown, that is told below
	_, _ = check.Check(files[0].folder(), positions, parsed, &info)
	return each(files, func(f *File) []string {
		return inspect(f, func(n ast.Node) string {
			r, is := n.(*ast.RangeStmt)
			if !is {
				return ""
			}
			t := info.TypeOf(r.X)
			if t == nil {
				return "a range over something of no known type"
			}
			if _, is := t.Underlying().(*types.Map); is || calls(f, calledIn(r.X), "maps", []string{"Keys", "Values", "All"}, "") != "" {
				return "a range over a map, whose order is random, in pure code"
			}
			return ""
		})
	}, pure)
}

// calledIn is the function of a call.
func calledIn(e ast.Expr) ast.Node {
	if call, is := e.(*ast.CallExpr); is {
		return call.Fun
	}
	return e
}
