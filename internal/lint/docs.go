package lint

import (
	"go/ast"
	"go/token"
	"maps"
	"slices"
	"strings"
)

// packageComments wants one file of each package to say what the package is.
func packageComments(files []*File) []string {
	first := map[string]string{}
	described := map[string]bool{}
	for _, f := range files {
		if !f.written() || strings.HasSuffix(f.Go.Name.Name, "_test") {
			continue
		}
		key := f.folder()
		if first[key] == "" {
			first[key] = f.at(f.Go.Package, "package %s has no comment", f.Go.Name.Name)
		}
		text := f.Go.Doc.Text()
		if strings.HasPrefix(text, "Package "+f.Go.Name.Name+" ") || strings.HasPrefix(text, "Command ") {
			described[key] = true
		}
	}
	var found []string
	for _, key := range slices.Sorted(maps.Keys(first)) {
		if !described[key] {
			found = append(found, first[key])
		}
	}
	return found
}

// wellKnown are the methods whose names say all there is to say.
var wellKnown = []string{"Error", "Unwrap", "String"}

// exportedComments wants a comment on whatever other packages can name. In a
// group of constants or variables the group's comment is enough.
func exportedComments(files []*File) []string {
	return each(files, func(f *File) []string {
		var found []string
		for _, declaration := range f.Go.Decls {
			switch d := declaration.(type) {
			case *ast.FuncDecl:
				if d.Doc == nil && d.Name.IsExported() && receiverExported(d) && !(d.Recv != nil && slices.Contains(wellKnown, d.Name.Name)) {
					found = append(found, f.at(d.Pos(), "%s has no comment", d.Name.Name))
				}
			case *ast.GenDecl:
				found = append(found, undocumented(f, d)...)
			}
		}
		return found
	}, func(f *File) bool { return !f.test() })
}

func undocumented(f *File, d *ast.GenDecl) []string {
	var found []string
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && s.Doc == nil && (d.Doc == nil || d.Lparen.IsValid()) {
				found = append(found, f.at(s.Pos(), "%s has no comment", s.Name.Name))
			}
		case *ast.ValueSpec:
			if d.Tok == token.IMPORT || d.Doc != nil || s.Doc != nil || s.Comment != nil {
				continue
			}
			for _, name := range s.Names {
				if name.IsExported() {
					found = append(found, f.at(name.Pos(), "%s has no comment", name.Name))
				}
			}
		}
	}
	return found
}

// receiverExported is true for functions, and for methods of exported types.
func receiverExported(d *ast.FuncDecl) bool {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return true
	}
	receiver := d.Recv.List[0].Type
	for {
		switch r := receiver.(type) {
		case *ast.StarExpr:
			receiver = r.X
		case *ast.IndexExpr:
			receiver = r.X
		case *ast.IndexListExpr:
			receiver = r.X
		case *ast.Ident:
			return r.IsExported()
		default:
			return true
		}
	}
}
