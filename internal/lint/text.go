package lint

import (
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strings"
)

// The patterns are put together from pieces, so that this file does not match
// itself.
var (
	emptyNames = regexp.MustCompile(`(^|[/._-])(utils?|commons?|helpers?|managers?|misc|v2)($|[/._-])`)
	// A folder of one machine: at the start of a path, not within one.
	machinePath = regexp.MustCompile(`(^|[^\w.$)}/-])/(wor` + `k|roo` + `t|hom` + `e/\w+)/`)
	registry    = regexp.MustCompile(`(?i)\b(` + strings.Join([]string{
		`registry\.npm` + `js\.org`, `py` + `pi\.org`, `files\.python` + `hosted\.org`,
		`repo1?\.maven\.(apache\.)?` + `org`, `(proxy|sum)\.golang\.` + `org`, `deb\.debian\.` + `org`,
		`[\w.-]*artif` + `actory[\w.-]*`, `[\w-]*mirr` + `or[\w-]*\.[a-z][\w.-]*/`,
	}, "|") + `)`)
	looseEnd = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b|(?i:not ` + `implemented|not ` + `yet supported)`)
)

// names refuses names that say nothing of what is inside.
func names(files []*File) []string {
	var found []string
	for _, f := range files {
		if emptyNames.MatchString(f.Path) {
			found = append(found, f.Path+": the name says nothing of what is inside")
		} else if f.written() && emptyNames.MatchString(strings.TrimSuffix(f.Go.Name.Name, "_test")) {
			found = append(found, f.at(f.Go.Name.Pos(), "the name of package %s says nothing of what is inside", f.Go.Name.Name))
		}
	}
	return found
}

func machinePaths(files []*File) []string {
	return grep(files, machinePath, "names a folder of one machine")
}

func registries(files []*File) []string {
	return grep(files, registry, "names the host of a package registry")
}

// looseEnds spares generated Go and what a bundler puts together from others'
// code.
func looseEnds(files []*File) []string {
	var own []*File
	for _, f := range files {
		if !strings.HasPrefix(f.Path, "web/dist/") && (f.Go == nil || f.written()) {
			own = append(own, f)
		}
	}
	return grep(own, looseEnd, "leaves something undone")
}

func grep(files []*File, pattern *regexp.Regexp, what string) []string {
	var found []string
	for _, f := range files {
		number := 0
		for line := range strings.Lines(f.Text) {
			number++
			if hit := pattern.FindString(line); hit != "" {
				found = append(found, fmt.Sprintf("%s:%d: %q %s", f.Path, number, strings.TrimSpace(hit), what))
			}
		}
	}
	return found
}

// skippedTests refuses the methods by which a test leaves itself out: what is
// worth a test is worth running it.
func skippedTests(files []*File) []string {
	receivers := []string{"t", "b", "tb", "f", "rt"}
	return each(files, func(f *File) []string {
		return inspect(f, func(n ast.Node) string {
			call, is := n.(*ast.CallExpr)
			if !is {
				return ""
			}
			method, is := call.Fun.(*ast.SelectorExpr)
			if !is || !slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, method.Sel.Name) {
				return ""
			}
			if from, is := method.X.(*ast.Ident); is && slices.Contains(receivers, from.Name) {
				return "a test that leaves itself out"
			}
			return ""
		})
	}, func(f *File) bool {
		return f.test() || strings.HasSuffix(path.Base(f.folder()), "test") || f.top() == "internal"
	})
}
