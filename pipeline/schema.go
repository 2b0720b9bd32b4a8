package pipeline

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"
)

// Schema is the JSON schema of definitions.
func Schema() ([]byte, error) {
	reflector := jsonschema.Reflector{
		FieldNameTag: "yaml", DoNotReference: true, ExpandedStruct: true, RequiredFromJSONSchemaTags: true, Mapper: scalarSchema,
	}
	schema := reflector.Reflect(&Definition{})
	schema.ID = "https://github.com/hextide/hextide/definition"
	schema.Title = "A hextide pipeline"
	describeSchema(schema, reflect.TypeFor[Definition]())
	text, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding the schema: %w", err)
	}
	return text, nil
}

// scalarSchema gives the types that are written as text.
func scalarSchema(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[Duration]():
		return &jsonschema.Schema{Type: "string", Pattern: durationForm.String()}
	case reflect.TypeFor[Fields]():
		return &jsonschema.Schema{Type: "object", AdditionalProperties: &jsonschema.Schema{
			Type: "string", Pattern: `^(string|int|float|bool|decimal\(([0-9]|1[0-8])\))$`,
		}}
	}
	return nil
}

// describeSchema adds what the fields' tags say.
func describeSchema(s *jsonschema.Schema, t reflect.Type) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		if t.Kind() == reflect.Slice {
			s = s.Items
		}
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || s == nil || s.Properties == nil {
		return
	}
	for i := range t.NumField() {
		field := t.Field(i)
		name := field.Tag.Get("yaml")
		if field.Type == reflect.TypeFor[Later]() {
			s.Properties.Delete(name)
			continue
		}
		property, known := s.Properties.Get(name)
		if !known {
			continue
		}
		property.Description = field.Tag.Get("desc")
		for _, option := range strings.Split(field.Tag.Get("enum"), ",") {
			switch {
			case option == "":
			case field.Type.Kind() == reflect.Int:
				property.Enum = append(property.Enum, json.Number(option))
			default:
				property.Enum = append(property.Enum, option)
			}
		}
		if field.Tag.Get("need") == "yes" {
			s.Required = append(s.Required, name)
		}
		describeSchema(property, field.Type)
	}
}
