// Package lint holds the project's source to its own conventions: sizes, import
// directions, purity, names, comments. Each rule is a function from the files of
// the tree to what is wrong with them; the tests run every rule over the tree,
// and over small bad sources that it must find. It never changes a file.
package lint

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// File is a text file of the tree.
type File struct {
	Path string // from the root, with slashes
	Text string
	Go   *ast.File // nil where it is not Go
}

// positions are those in all files.
var positions = token.NewFileSet()

// Rule is one convention. Check returns a line for each breach.
type Rule struct {
	Name  string
	Check func([]*File) []string
}

// Rules are all conventions.
func Rules() []Rule {
	return []Rule{
		{"size of files", fileSizes},
		{"size of functions", functionSizes},
		{"size of structs", structSizes},
		{"size of interfaces", interfaceSizes},
		{"import direction", importDirections},
		{"purity", purity},
		{"order of maps", mapOrder},
		{"exact mathematics", exactMathematics},
		{"names", names},
		{"package comments", packageComments},
		{"comments of exported identifiers", exportedComments},
		{"paths of a machine", machinePaths},
		{"package registries", registries},
		{"loose ends", looseEnds},
		{"skipped tests", skippedTests},
	}
}

// Read reads the text files under root, leaving out what git ignores: builds,
// caches, installed packages.
func Read(root string) ([]*File, error) {
	var files []*File
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		relative = filepath.ToSlash(relative)
		if entry.IsDir() {
			if ignored(relative) {
				return fs.SkipDir
			}
			return nil
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("reading %s: %w", relative, err)
		}
		if !isText(text) {
			return nil
		}
		file, err := NewFile(relative, string(text))
		if err != nil {
			return err
		}
		files = append(files, file)
		return nil
	})
	return files, err
}

func ignored(folder string) bool {
	switch folder {
	case ".git", "bin", ".cache", "data":
		return true
	}
	switch path.Base(folder) {
	case "node_modules", "__pycache__", ".venv", ".tests", ".ipynb_checkpoints":
		return true
	}
	return false
}

func isText(b []byte) bool {
	return bytes.IndexByte(b, 0) < 0 && utf8.Valid(b)
}

// NewFile parses a text as the file at a path.
func NewFile(name, text string) (*File, error) {
	f := &File{Path: name, Text: text}
	if path.Ext(name) != ".go" {
		return f, nil
	}
	parsed, err := parser.ParseFile(positions, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	f.Go = parsed
	return f, nil
}

// written tells whether a file is Go that a person wrote.
func (f *File) written() bool { return f.Go != nil && !ast.IsGenerated(f.Go) }

func (f *File) test() bool { return strings.HasSuffix(f.Path, "_test.go") }

func (f *File) folder() string { return path.Dir(f.Path) }

// top is the first folder of the path.
func (f *File) top() string {
	top, _, found := strings.Cut(f.Path, "/")
	if !found {
		return ""
	}
	return top
}

func (f *File) line(p token.Pos) int { return positions.Position(p).Line }

// at makes the line of a breach.
func (f *File) at(p token.Pos, format string, values ...any) string {
	return fmt.Sprintf("%s:%d: ", f.Path, f.line(p)) + fmt.Sprintf(format, values...)
}

// each runs a check over every written Go file that passes all filters.
func each(files []*File, check func(*File) []string, filters ...func(*File) bool) []string {
	var found []string
	for _, f := range files {
		take := f.written()
		for _, filter := range filters {
			take = take && filter(f)
		}
		if take {
			found = append(found, check(f)...)
		}
	}
	return found
}

// inspect collects what look says of each node of a file; "" is nothing.
func inspect(f *File, look func(ast.Node) string) []string {
	var found []string
	ast.Inspect(f.Go, func(n ast.Node) bool {
		if n == nil {
			return false
		}
		if said := look(n); said != "" {
			found = append(found, f.at(n.Pos(), "%s", said))
		}
		return true
	})
	return found
}
