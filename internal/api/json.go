package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"invited/internal/directory"
	"invited/internal/fault"
)

// sanitizeJSON rejects a body that is not exactly one JSON value in UTF-8 without duplicate names (RFC 8259, as strict
// as RFC 7493), so that no two parsers read it differently. It replaces the body by what the schema describes of it, so
// that nothing else costs the steps that follow: see [sanitizer]. An empty body becomes an empty object, so that the
// response names each missing field.
func sanitizeJSON(r *http.Request, schema *openapi3.Schema) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
		r.Header.Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
	}
	media, parameters, err := mime.ParseMediaType(r.Header.Get(echo.HeaderContentType))
	charset := strings.ToLower(parameters["charset"])
	if err != nil || media != echo.MIMEApplicationJSON || (charset != "" && charset != "utf-8") {
		return echo.ErrUnsupportedMediaType
	}
	var sanitized bytes.Buffer
	s := sanitizer{
		in:      jsontext.NewDecoder(bytes.NewBuffer(body)), // the decoder does not copy the bytes of a Buffer
		out:     jsontext.NewEncoder(&sanitized, jsontext.AllowDuplicateNames(true)),
		invalid: fault.Fields{},
	}
	if err := s.copyValue(schema, ""); err != nil {
		return fault.Field(fault.NonField, "JSON parse error - "+syntaxMessage(err)+".")
	}
	if _, err := s.in.ReadToken(); !errors.Is(err, io.EOF) {
		return fault.Field(fault.NonField, "JSON parse error - more than one value.")
	}
	if err := s.invalid.Err(); err != nil {
		return err
	}
	setBody(r, sanitized.Bytes())
	return nil
}

// untrimmedField is the field whose value is read as it is: a token has one spelling.
const untrimmedField = "token"

// referenceFields are the fields that name another object.
var referenceFields = []string{"scope", "role"}

// A sanitizer copies a JSON text as far as a schema describes it. It leaves out properties that the schema does not have,
// the content of an object or a list where the schema has something else, and the items of a list after the last that
// the schema allows. What is blank at the ends of strings is left out too: see directory.Trim. A property that the schema
// forbids is an error: a filter that is ignored would select too much.
//
// Numbers where the schema has a string become strings, as Django REST framework reads them. So does whatever stands in the
// place of a reference, so that the message about it is that of a reference that leads nowhere.
//
// A text that is large and means nothing is thus read once, and costs the steps that follow nothing.
type sanitizer struct {
	in      *jsontext.Decoder
	out     *jsontext.Encoder
	invalid fault.Fields // lists with more items than the schema allows, and properties where it allows no others
}

// copyValue copies the next value, of the property that has a name. It returns an error where the text is no valid JSON.
func (s sanitizer) copyValue(schema *openapi3.Schema, name string) error {
	for schema.Type == nil && len(schema.AllOf) == 1 { // a reference with a description
		schema = schema.AllOf[0].Value
	}
	switch kind := s.in.PeekKind(); {
	case slices.Contains(referenceFields, name) && schema.Type.Is(openapi3.TypeString) && isNoText(kind):
		value, err := s.in.ReadValue()
		if err != nil {
			return err
		}
		if err := value.Compact(); err != nil {
			return err
		}
		return s.out.WriteToken(jsontext.String(truncate(string(value))))
	case kind == jsontext.KindBeginObject && schema.Type.Is(openapi3.TypeObject):
		return s.copyObject(schema, name)
	case kind == jsontext.KindBeginArray && schema.Type.Is(openapi3.TypeArray):
		return s.copyList(schema, name)
	case kind == jsontext.KindBeginObject:
		return s.replace("{}")
	case kind == jsontext.KindBeginArray:
		return s.replace("[]")
	}
	token, err := s.in.ReadToken()
	if err != nil {
		return err
	}
	switch {
	case name == untrimmedField:
	case token.Kind() == jsontext.KindString:
		token = jsontext.String(directory.Trim(token.String()))
	case token.Kind() == jsontext.KindNumber && schema.Type.Is(openapi3.TypeString):
		token = jsontext.String(numberText(token.String()))
	}
	return s.out.WriteToken(token)
}

// isNoText reports whether a kind of value is neither a text nor missing, nor a number, which is read as a text.
func isNoText(kind jsontext.Kind) bool {
	return slices.Contains([]jsontext.Kind{jsontext.KindBeginObject, jsontext.KindBeginArray, jsontext.KindTrue, jsontext.KindFalse}, kind)
}

func (s sanitizer) replace(value string) error {
	if err := s.in.SkipValue(); err != nil {
		return err
	}
	return s.out.WriteValue(jsontext.Value(value))
}

// copyObject copies an object, which is the value of a property.
func (s sanitizer) copyObject(schema *openapi3.Schema, of string) error {
	if err := s.copyToken(); err != nil {
		return err
	}
	for s.in.PeekKind() != jsontext.KindEndObject {
		token, err := s.in.ReadToken()
		if err != nil {
			return err
		}
		name := token.String()
		property := schema.Properties[name]
		if property == nil {
			if others := schema.AdditionalProperties.Has; others != nil && !*others && len(s.invalid[of]) == 0 {
				s.invalid.Add(of, truncate(name)+": There is no such field.")
			}
			if err := s.in.SkipValue(); err != nil {
				return err
			}
			continue
		}
		if err := s.out.WriteToken(token); err != nil {
			return err
		}
		if err := s.copyValue(property.Value, name); err != nil {
			return err
		}
	}
	return s.copyToken()
}

func (s sanitizer) copyList(schema *openapi3.Schema, name string) error {
	if err := s.copyToken(); err != nil {
		return err
	}
	for n := uint64(0); s.in.PeekKind() != jsontext.KindEndArray; n++ {
		if schema.MaxItems == nil || n < *schema.MaxItems {
			if err := s.copyValue(schema.Items.Value, name); err != nil {
				return err
			}
			continue
		}
		if len(s.invalid[name]) == 0 {
			s.invalid.Add(name, maxItemsMessage(*schema.MaxItems))
		}
		if err := s.in.SkipValue(); err != nil {
			return err
		}
	}
	return s.copyToken()
}

// copyToken copies the next token as it is.
func (s sanitizer) copyToken() error {
	token, err := s.in.ReadToken()
	if err != nil {
		return err
	}
	return s.out.WriteToken(token)
}

// syntaxMessage describes a syntax error in a JSON text and its position.
func syntaxMessage(err error) string {
	var e *jsontext.SyntacticError
	switch {
	case !errors.As(err, &e) || e.Err == nil || errors.Is(err, io.ErrUnexpectedEOF):
		return "unexpected end"
	case e.JSONPointer == "" || len(e.JSONPointer) > 100:
		return fmt.Sprintf("%s at character %d", e.Err, e.ByteOffset)
	default:
		return fmt.Sprintf("%s at %s", e.Err, e.JSONPointer)
	}
}
