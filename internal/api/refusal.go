package api

import (
	"errors"
	"fmt"

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
	var many openapi3.MultiError
	var request *openapi3filter.RequestError
	switch {
	case errors.As(err, &request):
		if p := request.Parameter; p != nil {
			switch {
			case p.In == openapi3.ParameterInPath:
				return fault.Missing()
			case p.Name == "page":
				return fault.MissingPage()
			}
			collectSchema(request.Err, p.Name, p.Schema.Value, fields)
			return nil
		}
		collectSchema(request.Err, "", nil, fields)
	case errors.As(err, &many):
		for _, each := range many {
			if r := collect(each, fields); r != nil {
				return r
			}
		}
	default:
		return fmt.Errorf("api: checking a request against the contract: %w", err)
	}
	return nil
}

// collectSchema adds the messages of one parameter, or of a body where name is empty: the first for each field,
// for the second says nothing new about it.
func collectSchema(err error, name string, schema *openapi3.Schema, fields fault.Fields) {
	var many openapi3.MultiError
	var violation *openapi3.SchemaError
	add := func(field, message string) {
		if len(fields[field]) == 0 {
			fields.Add(field, message)
		}
	}
	switch {
	case errors.As(err, &many):
		for _, each := range many {
			collectSchema(each, name, schema, fields)
		}
	case errors.As(err, &violation):
		field := name
		if path := violation.JSONPointer(); field == "" && len(path) > 0 {
			field = path[0]
		}
		if field == "" {
			field = fault.NonField
		}
		add(field, words(violation))
	case name != "":
		// The text could not be taken for a value of the parameter's type at all.
		add(name, wrongType(schema))
	default:
		add(fault.NonField, "The request body can't be read.")
	}
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
		return fmt.Sprintf("Ensure this field has no more than %d elements.", *e.Schema.MaxItems)
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

func wrongType(schema *openapi3.Schema) string {
	switch {
	case schema == nil:
		return "This value is not valid."
	case schema.Format == "uuid":
		return "Must be a valid UUID."
	case schema.Type.Is(openapi3.TypeInteger):
		return "A valid integer is required."
	case schema.Type.Is(openapi3.TypeString):
		return "Not a valid string."
	case schema.Type.Is(openapi3.TypeObject):
		return "Invalid data. Expected a dictionary."
	default:
		return "This value is not valid."
	}
}
