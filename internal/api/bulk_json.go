package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"invited/internal/bulk"
	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
)

// Limits of the JSON of a bulk invitation. A row that is decoded takes about twenty times its size of the memory where
// it has nothing but names.
const (
	maxRowSize     = 64 << 10 // bytes of one row, or of the defaults
	maxMemberNames = 100      // members of the object beside the rows
)

const (
	msgRequired = "This field is required."
	msgNull     = "This field may not be null."
	msgBlank    = "This field may not be blank."
	msgNoObject = "Invalid data. Expected a dictionary."
)

// elsewhere has the messages about members of the request that belong elsewhere. All others that the contract does not
// know are ignored, which for a dry run would mean to invite everybody.
var elsewhere = map[string]string{
	"dry_run":      "Send this as a query parameter: ?dry_run=true.",
	"on_duplicate": "Send this as a query parameter: ?on_duplicate=send.",
	"role":         "Send this in defaults, or as a query parameter.",
	"scope":        "Send this in defaults, or as a query parameter.",
}

// readBulkJSON returns the rows of a BulkInvitationRequest, with its defaults filled in, and then those of the query.
// It reads one row after the other, so that a large body costs little more memory than its rows do. The body has to be
// as strict JSON as sanitizeJSON wants. It returns an invalid-field error where the request as a whole can't be read: a
// value that is wrong in one row only is for that row to tell.
func readBulkJSON(body []byte, query bulk.Row) ([]bulk.Row, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	b := bulkDecoder{
		// Names are compared in one row at a time.
		in:      jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true)),
		row:     jsontext.NewDecoder(bytes.NewReader(nil)),
		invalid: fault.Fields{},
	}
	if err := b.read(); err != nil {
		var invalid *fault.Error
		if errors.As(err, &invalid) {
			return nil, err
		}
		return nil, fault.Field(fault.NonField, "JSON parse error - "+syntaxMessage(err)+".")
	}
	if _, err := b.in.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, fault.Field(fault.NonField, "JSON parse error - more than one value.")
	}
	if err := b.invalid.Err(); err != nil {
		return nil, err
	}
	b.defaults.FillIn(&query)
	for i := range b.rows {
		b.rows[i].FillIn(&b.defaults)
		b.blank[i].report(&b.rows[i])
	}
	return b.rows, nil
}

// A bulkDecoder decodes the JSON of a bulk invitation.
type bulkDecoder struct {
	in, row  *jsontext.Decoder // of the body, and of one row
	invalid  fault.Fields
	defaults bulk.Row
	rows     []bulk.Row
	blank    []blankFields // of each row
}

// blankFields are the required fields that a row has, and has empty. The API tells them from those that are missing.
type blankFields struct{ email, role, scope bool }

// note notes an empty field.
func (b *blankFields) note(name string) {
	switch name {
	case "email":
		b.email = true
	case "role":
		b.role = true
	case "scope":
		b.scope = true
	}
}

// report adds the messages about fields of a row that are empty once the defaults are filled in.
func (b blankFields) report(row *bulk.Row) {
	for _, each := range []struct {
		is            bool
		name, message string
	}{{b.email, "email", msgBlank}, {b.role, "role", msgNull}, {b.scope, "scope", msgBlank}} {
		if each.is && *row.Field(each.name) == "" {
			addWrong(row, each.name, each.message)
		}
	}
}

func addWrong(row *bulk.Row, name, message string) {
	if row.Wrong == nil {
		row.Wrong = fault.Fields{}
	}
	row.Wrong.Add(name, message)
}

func (b *bulkDecoder) read() error {
	switch kind := b.in.PeekKind(); kind {
	case jsontext.KindBeginObject:
	case jsontext.KindInvalid:
		_, err := b.in.ReadToken()
		return err
	case jsontext.KindNull:
		return fault.Field(fault.NonField, msgNull)
	default:
		return fault.Field(fault.NonField, msgNoObject)
	}
	if _, err := b.in.ReadToken(); err != nil {
		return err
	}
	var names []string
	for b.in.PeekKind() != jsontext.KindEndObject {
		token, err := b.in.ReadToken()
		if err != nil {
			return err
		}
		name := token.String()
		if slices.Contains(names, name) {
			return fault.Field(fault.NonField, fmt.Sprintf("JSON parse error - duplicate object member name at /%s.", truncate(name)))
		}
		if names = append(names, name); len(names) > maxMemberNames {
			return fault.Field(fault.NonField, fmt.Sprintf("The request has more than %d members.", maxMemberNames))
		}
		switch name {
		case "defaults":
			err = b.readDefaults()
		case "rows":
			err = b.readRows()
		default:
			if message := elsewhere[name]; message != "" {
				b.invalid.Add(name, message)
			}
			err = b.in.SkipValue()
		}
		if err != nil {
			return err
		}
	}
	if !slices.Contains(names, "rows") {
		b.invalid.Add("rows", msgRequired)
	}
	_, err := b.in.ReadToken()
	return err
}

func (b *bulkDecoder) readDefaults() error {
	if b.in.PeekKind() == jsontext.KindNull {
		b.invalid.Add("defaults", msgNull)
		return b.in.SkipValue()
	}
	var blank blankFields
	if err := b.readRow("/defaults", &b.defaults, &blank); err != nil {
		return err
	}
	// Each row would have what is wrong again. A long value would be stored with each.
	wrong := b.defaults.Wrong
	if len(wrong) == 0 {
		wrong = b.defaults.TooLong()
	}
	if len(wrong) > 0 { // a second message says nothing new
		name := slices.Min(slices.Collect(maps.Keys(wrong)))
		text := wrong[name][0]
		if name != fault.NonField {
			text = itemPrefix([]string{name}) + text
		}
		b.invalid.Add("defaults", text)
	}
	return nil
}

func (b *bulkDecoder) readRows() error {
	switch b.in.PeekKind() {
	case jsontext.KindBeginArray:
	case jsontext.KindNull:
		b.invalid.Add("rows", msgNull)
		return b.in.SkipValue()
	default:
		b.invalid.Add("rows", typeMessage(nil))
		return b.in.SkipValue()
	}
	if _, err := b.in.ReadToken(); err != nil {
		return err
	}
	for b.in.PeekKind() != jsontext.KindEndArray {
		if len(b.rows) == bulk.MaxRows {
			return fault.Field("rows", maxItemsMessage(bulk.MaxRows))
		}
		var row bulk.Row
		var blank blankFields
		if err := b.readRow(fmt.Sprintf("/rows/%d", len(b.rows)), &row, &blank); err != nil {
			return err
		}
		b.rows, b.blank = append(b.rows, row), append(b.blank, blank)
	}
	if len(b.rows) == 0 {
		b.invalid.Add("rows", "This list may not be empty.")
	}
	_, err := b.in.ReadToken()
	return err
}

// readRow reads the next value, which has a JSON pointer, into a row.
func (b *bulkDecoder) readRow(pointer string, row *bulk.Row, blank *blankFields) error {
	value, err := b.in.ReadValue()
	if err != nil {
		return err
	}
	switch {
	case value.Kind() == jsontext.KindNull:
		addWrong(row, fault.NonField, msgNull)
		return nil
	case value.Kind() != jsontext.KindBeginObject:
		addWrong(row, fault.NonField, msgNoObject)
		return nil
	case len(value) > maxRowSize:
		addWrong(row, fault.NonField, "Ensure this row is no larger than "+formatSize(maxRowSize)+".")
		return nil
	}
	b.row.Reset(bytes.NewBuffer(value))
	err = b.readFields(row, blank)
	var malformed *jsontext.SyntacticError
	if errors.As(err, &malformed) {
		malformed.JSONPointer = jsontext.Pointer(pointer) + malformed.JSONPointer
	}
	return err
}

func (b *bulkDecoder) readFields(row *bulk.Row, blank *blankFields) error {
	if _, err := b.row.ReadToken(); err != nil {
		return err
	}
	for b.row.PeekKind() != jsontext.KindEndObject {
		token, err := b.row.ReadToken()
		if err != nil {
			return err
		}
		name := token.String()
		field := row.Field(name)
		if field == nil {
			if err := b.row.SkipValue(); err != nil {
				return err
			}
			continue
		}
		value, message, err := b.readField(name)
		if err != nil {
			return err
		}
		*field = value
		switch {
		case message != "":
			addWrong(row, name, message)
		case *field == "":
			blank.note(name)
		}
	}
	_, err := b.row.ReadToken()
	return err
}

// readField returns the next value of the field that has a name, as sanitizeJSON would leave it, or the message about a
// value that is no text.
func (b *bulkDecoder) readField(name string) (text, message string, err error) {
	isTime := name == "expires" || name == "membership_expires"
	kind := b.row.PeekKind()
	switch {
	case kind == jsontext.KindString || kind == jsontext.KindNumber:
		token, err := b.row.ReadToken()
		if err != nil {
			return "", "", err
		}
		if kind == jsontext.KindNumber {
			return numberText(token.String()), "", nil
		}
		return directory.Trim(token.String()), "", nil
	case slices.Contains(referenceFields, name) && isNoText(kind):
		value, err := b.row.ReadValue()
		if err != nil {
			return "", "", err
		}
		value = value.Clone()
		err = value.Compact()
		return truncate(string(value)), "", err
	case isTime && kind == jsontext.KindNull:
	case isTime:
		message = invitation.MsgNoTime
	case kind == jsontext.KindNull:
		message = msgNull
	default:
		message = "Not a valid string."
	}
	return "", message, b.row.SkipValue()
}
