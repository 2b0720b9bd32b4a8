package pipeline

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/hextide/hextide/column"
)

// maxDefinition bounds a definition's size, in bytes.
const maxDefinition = 1 << 20

// read fills a definition from YAML: types, unknown and missing keys.
func read(text []byte, found *issues) *Definition {
	d := &Definition{}
	if len(text) > maxDefinition {
		found.at(Position{1, 1}, "a definition has at most %d bytes, this has %d", maxDefinition, len(text))
		return d
	}
	if at, deep := tooDeep(text); deep {
		found.at(at, "this is nested deeper than %d levels: no definition is", maxDepth)
		return d
	}
	file, err := parse(text)
	if err != nil {
		var syntax yaml.Error
		if errors.As(err, &syntax) && syntax.GetToken() != nil {
			at := syntax.GetToken().Position
			found.at(Position{at.Line, at.Column}, "this is not YAML: %s", syntax.GetMessage())
		} else {
			found.at(Position{1, 1}, "this is not YAML: %s", strings.SplitN(err.Error(), "\n", 2)[0])
		}
		return d
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		found.at(Position{1, 1}, "expected one definition, found %d", documents(file))
		return d
	}
	body := file.Docs[0].Body
	switch body.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		r := &reader{found}
		r.value(body, reflect.ValueOf(d).Elem(), "", "")
	default:
		found.at(place(body), "expected a definition, found %s", kindOf(body))
	}
	return d
}

// maxDepth bounds nesting: the parser's memory grows with its square.
const maxDepth = 100

// tooDeep finds where brackets, or lists within lists on one line, are nested
// too deep. Brackets in texts count as well; no definition has so many.
func tooDeep(text []byte) (Position, bool) {
	brackets, lists, at := 0, 0, Position{1, 0}
	for i, c := range text {
		at.Column++
		switch {
		case c == '\n':
			at, lists = Position{at.Line + 1, 0}, 0
		case c == '[', c == '{':
			brackets++
		case c == ']', c == '}':
			brackets = max(0, brackets-1)
		case (c == '-' || c == '?') && i+1 < len(text) && text[i+1] == ' ':
			lists++
		case c != ' ':
			lists = 0
		}
		if brackets > maxDepth || lists > maxDepth {
			return at, true
		}
	}
	return at, false
}

// parse parses YAML. The parser panics on some texts that are none.
func parse(text []byte) (file *ast.File, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the parser cannot make sense of it")
		}
	}()
	return parser.ParseBytes(text, 0)
}

func documents(file *ast.File) (n int) {
	for _, d := range file.Docs {
		if d.Body != nil {
			n++
		}
	}
	return n
}

// reader fills Go values from YAML nodes and notes what does not fit.
type reader struct{ found *issues }

// wrong notes that a value does not fit; what is there in its stead is not judged
// further.
func (r *reader) wrong(n ast.Node, format string, arguments ...any) {
	r.found.at(place(n), format, arguments...)
	r.found.broken[place(n)] = true
}

// place is where a node begins: a mapping in lines at its first key.
func place(n ast.Node) Position {
	switch m := n.(type) {
	case *ast.MappingNode:
		if !m.IsFlowStyle && len(m.Values) > 0 {
			return place(m.Values[0])
		}
	case *ast.MappingValueNode:
		return place(m.Key)
	}
	if t := n.GetToken(); t != nil {
		return Position{t.Position.Line, t.Position.Column}
	}
	return Position{1, 1}
}

// value fills v; options are those of the field's enum tag.
func (r *reader) value(n ast.Node, v reflect.Value, path, options string) {
	r.found.positions[path] = place(n)
	switch target := v.Addr().Interface().(type) {
	case *Duration:
		if text, ok := r.scalar(n, "a duration like 90s, 4m, 1h or 7d"); ok {
			d, err := ParseDuration(text)
			if err != nil {
				r.wrong(n, "%v", err)
			}
			*target = Duration(d)
		}
		return
	case *Fields:
		r.fields(n, target, path)
		return
	case *Later:
		if list, is := n.(*ast.SequenceNode); !is || len(list.Values) > 0 {
			r.wrong(n, "this version has no %s yet: leave the list empty", path)
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		r.value(n, v.Elem(), path, options)
	case reflect.Struct:
		r.mapping(n, v, path)
	case reflect.Slice:
		r.sequence(n, v, path)
	case reflect.String:
		if text, ok := r.scalar(n, "text"); ok {
			v.SetString(r.option(n, text, options))
		}
	case reflect.Int:
		r.integer(n, v, options)
	}
}

// option checks a value that must be one of a list.
func (r *reader) option(n ast.Node, text, options string) string {
	if options == "" {
		return text
	}
	all := strings.Split(options, ",")
	for _, o := range all {
		if o == text {
			return text
		}
	}
	r.wrong(n, "expected one of %s, found %q%s", strings.Join(all, ", "), text, meant(text, all))
	return text
}

func (r *reader) integer(n ast.Node, v reflect.Value, options string) {
	number, is := n.(*ast.IntegerNode)
	if !is {
		r.wrong(n, "expected an integer, found %s", kindOf(n))
		return
	}
	switch x := number.Value.(type) {
	case int64:
		v.SetInt(x)
	case uint64:
		if x > 1<<31 {
			r.wrong(n, "the integer %d is too large", x)
			return
		}
		v.SetInt(int64(x))
	}
	r.option(n, fmt.Sprint(v.Int()), options)
}

// scalar reads text; numbers and booleans count as they are written.
func (r *reader) scalar(n ast.Node, what string) (string, bool) {
	switch s := n.(type) {
	case *ast.StringNode:
		return s.Value, true
	case *ast.LiteralNode:
		return strings.TrimSuffix(s.Value.Value, "\n"), true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	}
	r.wrong(n, "expected %s, found %s", what, kindOf(n))
	return "", false
}

func kindOf(n ast.Node) string {
	switch n.(type) {
	case *ast.NullNode:
		return "nothing"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		return "an anchor, alias or tag, which definitions do not have"
	}
	return fmt.Sprintf("%q", n.GetToken().Value)
}

func (r *reader) sequence(n ast.Node, v reflect.Value, path string) {
	list, is := n.(*ast.SequenceNode)
	if !is {
		r.wrong(n, "expected a list, found %s", kindOf(n))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(list.Values), len(list.Values)))
	for i, item := range list.Values {
		r.value(item, v.Index(i), fmt.Sprintf("%s[%d]", path, i), "")
	}
}

// pair is a key and its value.
type pair struct {
	key   string
	at    Position
	value ast.Node
}

// pairs lists a mapping's keys, each once, where it is a mapping.
func (r *reader) pairs(n ast.Node) ([]pair, bool) {
	var values []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		values = m.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{m}
	default:
		r.wrong(n, "expected a mapping, found %s", kindOf(n))
		return nil, false
	}
	seen := map[string]bool{}
	var list []pair
	for _, v := range values {
		key := v.Key.GetToken()
		p := pair{key.Value, Position{key.Position.Line, key.Position.Column}, v.Value}
		if seen[p.key] {
			r.found.at(p.at, "the key %q is there twice", p.key)
			continue
		}
		seen[p.key] = true
		list = append(list, p)
	}
	return list, true
}

func (r *reader) mapping(n ast.Node, v reflect.Value, path string) {
	if _, nothing := n.(*ast.NullNode); nothing && v.NumField() == 0 {
		return
	}
	keys := map[string]int{}
	var names []string
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("yaml")
		keys[name] = i
		names = append(names, name)
	}
	given := map[string]bool{}
	pairs, is := r.pairs(n)
	if !is {
		return
	}
	for _, p := range pairs {
		i, known := keys[p.key]
		if !known {
			r.found.at(p.at, "there is no key %q here%s", p.key, meant(p.key, names))
			continue
		}
		given[p.key] = true
		if text, is := p.value.(*ast.StringNode); is && text.Value == "" && v.Type().Field(i).Tag.Get("need") == "yes" {
			r.wrong(p.value, "%q is empty: %s", join(path, p.key), v.Type().Field(i).Tag.Get("desc"))
			continue
		}
		r.value(p.value, v.Field(i), join(path, p.key), v.Type().Field(i).Tag.Get("enum"))
	}
	for _, name := range names {
		if v.Type().Field(keys[name]).Tag.Get("need") == "yes" && !given[name] {
			r.found.at(place(n), "%q is missing: %s", join(path, name), v.Type().Field(keys[name]).Tag.Get("desc"))
		}
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// fields reads the events' fields in their order.
func (r *reader) fields(n ast.Node, target *Fields, path string) {
	pairs, _ := r.pairs(n)
	for _, p := range pairs {
		r.found.positions[join(path, p.key)] = p.at
		text, ok := r.scalar(p.value, "a type")
		if !ok {
			continue
		}
		field, err := parseFieldType(p.key, text)
		if err != nil {
			r.wrong(p.value, "%v", err)
			r.found.broken[p.at] = true
			field = FieldType{Name: p.key, Kind: column.Int} // whatever it is, it is a field
		}
		*target = append(*target, field)
	}
}
