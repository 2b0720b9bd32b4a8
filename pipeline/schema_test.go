package pipeline

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("definition.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("definition.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// bySchema is what the schema says of a definition.
func bySchema(t *testing.T, schema *jsonschema.Schema, definition string) error {
	t.Helper()
	text, err := yaml.YAMLToJSON([]byte(definition))
	if err != nil {
		t.Fatalf("%v\n%s", err, definition)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(value)
}

func TestExamplesFitTheSchema(t *testing.T) {
	schema := compiledSchema(t)
	for _, pattern := range []string{"../examples/*.yaml", "../examples/checks/*.yaml"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(names), err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := bySchema(t, schema, string(text)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// The schema refuses what is wrong by itself, and so does Load.
func TestSchemaRefuses(t *testing.T) {
	schema := compiledSchema(t)
	if err := bySchema(t, schema, hashed); err != nil {
		t.Fatal(err)
	}
	for name, replace := range map[string][]string{
		"an unknown key":         {"version: 1", "version: 1\nsink: {}"},
		"an unknown key inside":  {"{field: ts", "{fields: ts"},
		"what is missing":        {"name: a\n", ""},
		"another version":        {"version: 1", "version: 2"},
		"a type of field":        {"n: int", "n: integer"},
		"a scale":                {"decimal(2)", "decimal(19)"},
		"an operator":            {"op: count", "op: counts"},
		"a duration":             {"1m, 1h", "1 minute"},
		"text for a number":      {"resolution: 9", "resolution: nine"},
		"a mapping for a list":   {"[8, 7]", "{a: 8}"},
		"a kind of model":        {"kind: demand", "kind: supply"},
		"a number for a mapping": {"{lat: lat, lng: lng}", "3"},
	} {
		text := strings.Replace(hashed, replace[0], replace[1], 1)
		if bySchema(t, schema, text) == nil {
			t.Errorf("the schema accepts %s", name)
		}
		if _, err := Load([]byte(text), "a.yaml"); err == nil {
			t.Errorf("Load accepts %s", name)
		}
	}
}

// Every key of the schema says what it is for; only what is built is there.
func TestSchemaDescribes(t *testing.T) {
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	var root map[string]any
	if err := json.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	var walk func(path string, node map[string]any)
	walk = func(path string, node map[string]any) {
		if items, is := node["items"].(map[string]any); is {
			walk(path+"[]", items)
		}
		properties, _ := node["properties"].(map[string]any)
		for name, value := range properties {
			property := value.(map[string]any)
			if what, _ := property["description"].(string); what == "" {
				t.Errorf("%s.%s has no description", path, name)
			}
			walk(path+"."+name, property)
		}
		if properties != nil && node["additionalProperties"] != false {
			t.Errorf("%s takes keys that there are not", path)
		}
	}
	walk("", root)
	if strings.Contains(string(text), "dimensions") {
		t.Error("dimensions are in the schema")
	}
}
