package api

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"

	"invited/internal/fault"
	"invited/internal/invitation"
)

// validationError translates the validator's error into a fault that reports every invalid field. An invalid path
// parameter or page is a 404: there is no such resource.
func validationError(err error) error {
	fields := fault.Fields{}
	if err := addErrors(fields, err); err != nil {
		return err
	}
	if err := fields.Err(); err != nil {
		return err
	}
	return fmt.Errorf("api: the validator rejected a request without a reason: %w", err)
}

// addErrors adds the messages of err to fields. It returns an error where the request is rejected as a whole.
func addErrors(fields fault.Fields, err error) error {
	switch e := err.(type) { //nolint:errorlint // errors.As would find the first of many and miss the others
	case openapi3.MultiError:
		for _, part := range e {
			if err := addErrors(fields, part); err != nil {
				return err
			}
		}
	case *openapi3filter.RequestError:
		switch p := e.Parameter; {
		case p == nil:
			addSchemaErrors(fields, e.Err, "", nil)
		case p.In == openapi3.ParameterInPath:
			return fault.NotFound()
		case p.Name == "page":
			return fault.PageNotFound()
		default:
			addSchemaErrors(fields, e.Err, p.Name, p.Schema.Value)
		}
	default:
		return fmt.Errorf("api: checking a request against the contract: %w", err)
	}
	return nil
}

// addSchemaErrors adds the messages about one parameter, or about the body where parameter is empty. It adds one
// message for each field, and one for each field of each item of a list: a second message says nothing new.
func addSchemaErrors(fields fault.Fields, err error, parameter string, schema *openapi3.Schema) {
	field := parameter
	var text, item string
	switch e := err.(type) { //nolint:errorlint // as above
	case openapi3.MultiError:
		for _, part := range e {
			addSchemaErrors(fields, part, parameter, schema)
		}
		return
	case *openapi3.SchemaError:
		if path := e.JSONPointer(); field == "" && len(path) > 0 {
			field, item = path[0], itemPrefix(path[1:])
		}
		if text = message(e); parameter == "" && e.SchemaField == "format" && e.Schema.Format == "uuid" && isRole(e.JSONPointer()) {
			if text = fmt.Sprintf("Object with uuid=%s does not exist.", truncate(fmt.Sprint(e.Value))); e.Value == "" {
				text = "This field may not be null." // as Django REST framework reads an empty reference
			}
		}
	default: // the value could not be converted to the parameter's type
		text = typeMessage(schema)
	}
	if field == "" {
		field = fault.NonField
	}
	added := fields[field]
	if len(added) == 0 || (item != "" && !strings.HasPrefix(added[len(added)-1], item)) {
		fields.Add(field, item+text)
	}
}

// isRole reports whether a path of a body names a role.
func isRole(path []string) bool { return len(path) > 0 && path[len(path)-1] == "role" }

// itemPrefix returns the prefix of a message about an item of a list, such as "Item 2, email: ". It returns an empty
// string for an empty path.
func itemPrefix(path []string) string {
	var parts []string
	for _, part := range path {
		if i, err := strconv.Atoi(part); err == nil {
			part = fmt.Sprintf("Item %d", i+1)
		}
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		return ""
	}
	return strings.Join(parts, ", ") + ": "
}

// message returns the message of Django REST framework for a schema error: clients match on those texts.
func message(e *openapi3.SchemaError) string {
	switch e.SchemaField {
	case "required":
		return "This field is required."
	case "nullable":
		return "This field may not be null."
	case "type":
		if e.Value == nil {
			return "This field may not be null."
		}
		return typeMessage(e.Schema)
	case "minLength":
		return "This field may not be blank."
	case "maxLength":
		return fmt.Sprintf("Ensure this field has no more than %d characters.", *e.Schema.MaxLength)
	case "minItems":
		return "This list may not be empty."
	case "maxItems":
		return maxItemsMessage(*e.Schema.MaxItems)
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
		return typeMessage(e.Schema)
	case "allOf": // a reference with a description
		if reason, ok := errors.AsType[*openapi3.SchemaError](e.Origin); ok {
			return message(reason)
		}
	}
	return "This value is not valid."
}

func maxItemsMessage(limit uint64) string {
	return fmt.Sprintf("Ensure this field has no more than %d elements.", limit)
}

// typeMessage returns the message about a value that is not of the schema's type.
func typeMessage(schema *openapi3.Schema) string {
	switch {
	case schema == nil:
		return "This value is not valid."
	case schema.Format == "uuid":
		return "Must be a valid UUID."
	case schema.Format == "date-time":
		return invitation.MsgNoTime
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
