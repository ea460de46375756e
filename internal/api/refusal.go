package api

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"

	"invited/internal/fault"
)

// refusal turns what the validator found into the API's words, all of it together. A path or a page that makes no
// sense is one that is not there.
func refusal(err error) error {
	fields := fault.Fields{}
	if r := collect(err, fields); r != nil {
		return r
	}
	if err := fields.Err(); err != nil {
		return err
	}
	return fmt.Errorf("api: the validator refused a request without a reason: %w", err)
}

// collect adds the messages in err to fields. It returns an error where the request is refused as a whole.
func collect(err error, fields fault.Fields) error {
	switch e := err.(type) { //nolint:errorlint // errors.As would find the first of many and miss the others
	case openapi3.MultiError:
		for _, each := range e {
			if r := collect(each, fields); r != nil {
				return r
			}
		}
	case *openapi3filter.RequestError:
		switch p := e.Parameter; {
		case p == nil:
			collectSchema(e.Err, "", nil, fields)
		case p.In == openapi3.ParameterInPath:
			return fault.NotFound()
		case p.Name == "page":
			return fault.PageNotFound()
		default:
			collectSchema(e.Err, p.Name, p.Schema.Value, fields)
		}
	default:
		return fmt.Errorf("api: checking a request against the contract: %w", err)
	}
	return nil
}

// collectSchema adds the messages of one parameter, or of a body where name is empty: the first for each field, or for
// each field of an item of a list, for the second says nothing new about it.
func collectSchema(err error, name string, schema *openapi3.Schema, fields fault.Fields) {
	field := name
	var message, place string
	switch e := err.(type) { //nolint:errorlint // as above
	case openapi3.MultiError:
		for _, each := range e {
			collectSchema(each, name, schema, fields)
		}
		return
	case *openapi3.SchemaError:
		if path := e.JSONPointer(); field == "" && len(path) > 0 {
			field, place = path[0], within(path[1:])
		}
		message = words(e)
	default:
		// The text could not be taken for a value of the type at all.
		message = wrongType(schema)
	}
	if field == "" {
		field = fault.NonField
	}
	said := fields[field]
	if len(said) == 0 || (place != "" && !strings.HasPrefix(said[len(said)-1], place)) {
		fields.Add(field, place+message)
	}
}

// within names a place in a field that is a list, where it is one.
func within(path []string) string {
	var words []string
	for _, each := range path {
		if at, err := strconv.Atoi(each); err == nil {
			each = fmt.Sprintf("Item %d", at+1)
		}
		words = append(words, each)
	}
	if len(words) == 0 {
		return ""
	}
	return strings.Join(words, ", ") + ": "
}

// words says what is wrong with a value as Django REST framework does, whose users read these messages.
func words(e *openapi3.SchemaError) string {
	switch e.SchemaField {
	case "required":
		return "This field is required."
	case "nullable":
		return "This field may not be null."
	case "type":
		if e.Value == nil {
			return "This field may not be null."
		}
		return wrongType(e.Schema)
	case "minLength":
		return "This field may not be blank."
	case "maxLength":
		return fmt.Sprintf("Ensure this field has no more than %d characters.", *e.Schema.MaxLength)
	case "maxItems":
		return tooMany(*e.Schema.MaxItems)
	case "pattern":
		return "Control characters are not allowed."
	case "enum":
		return fmt.Sprintf("Select a valid choice. %v is not one of the available choices.", e.Value)
	case "minimum":
		return "A valid integer is required."
	case "format":
		if e.Schema.Format == "email" {
			return "Enter a valid email address."
		}
		return wrongType(e.Schema)
	default:
		return "This value is not valid."
	}
}

func tooMany(most uint64) string {
	return fmt.Sprintf("Ensure this field has no more than %d elements.", most)
}

func wrongType(schema *openapi3.Schema) string {
	switch {
	case schema == nil:
		return "This value is not valid."
	case schema.Format == "uuid":
		return "Must be a valid UUID."
	case schema.Type.Is(openapi3.TypeInteger):
		return "A valid integer is required."
	case schema.Type.Is(openapi3.TypeBoolean):
		return "Must be a valid boolean."
	case schema.Type.Is(openapi3.TypeString):
		return "Not a valid string."
	case schema.Type.Is(openapi3.TypeObject):
		return "Invalid data. Expected a dictionary."
	default:
		return "This value is not valid."
	}
}
