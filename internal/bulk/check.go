package bulk

import (
	"cmp"
	"fmt"
	"maps"
	"strings"
	"unicode/utf8"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
)

// A rule holds the constraints of one field of InvitationRequest in the contract.
type rule struct {
	required  bool
	maxLength int                 // characters; 0: message refuses a value of more than maxShort
	refuses   func(rune) bool     // control characters; nil: none
	message   func(string) string // about a value that has no valid form; empty: it has
}

var rules = map[string]rule{
	"email": {required: true, maxLength: directory.MaxEmailLength, message: func(value string) string {
		return unless(directory.ValidEmail(value), "Enter a valid email address.")
	}},
	"role": {required: true, message: func(value string) string { // any text that is not too long may be the name of a role
		return unless(utf8.RuneCountInString(value) <= maxShort, "Object with name="+truncate(value)+" does not exist.")
	}},
	"scope": {required: true, maxLength: 2000, refuses: isASCIIControl, message: func(value string) string {
		_, _, isURL := directory.ParseScopeURL(value)
		_, isUUID := directory.ParseUUID(value)
		return unless(isURL || isUUID, directory.NoScope(value))
	}},
	"full_name":    {maxLength: 100, refuses: isControl},
	"native_name":  {maxLength: 100, refuses: isControl},
	"phone_number": {maxLength: 255, refuses: isControl},
	"organization": {maxLength: 100, refuses: isControl},
	"job_title":    {maxLength: 120, refuses: isControl},
	"civil_number": {maxLength: 50, refuses: isControl},
	"extra_invitation_text": {maxLength: 2000, refuses: func(r rune) bool {
		return isControl(r) && !strings.ContainsRune("\t\n\r", r)
	}},
	"expires":            {message: timeMessage},
	"membership_expires": {message: timeMessage},
}

const (
	maxShort  = 255 // characters of the name of a role, and of a date and time, which may have any number of digits
	maxQuoted = 200 // bytes of a value that a message repeats
)

func truncate(text string) string {
	if len(text) <= maxQuoted {
		return text
	}
	return strings.ToValidUTF8(text[:maxQuoted], "") + "…"
}

func timeMessage(value string) string {
	_, ok := invitation.ParseEnd(value)
	return unless(ok && len(value) <= maxShort, invitation.MsgNoTime)
}

func unless(valid bool, message string) string {
	if valid {
		return ""
	}
	return message
}

func isASCIIControl(r rune) bool { return r < 0x20 || r == 0x7f }

func isControl(r rune) bool { return isASCIIControl(r) || (r >= 0x80 && r < 0xa0) }

// Check returns the messages about fields of a row that the API would give for the same values in a request to create one
// invitation, as far as they need no database: one for each field. Check returns an empty map where there is none.
func (r Row) Check() fault.Fields {
	wrong := fault.Fields{}
	maps.Copy(wrong, r.Wrong)
	for _, field := range rowFields {
		if len(wrong[field.name]) > 0 {
			continue
		}
		if message := rules[field.name].check(*field.of(&r)); message != "" {
			wrong.Add(field.name, message)
		}
	}
	if len(wrong["civil_number"]) == 0 {
		invitation.CheckCivilNumber(wrong, r.CivilNumber)
	}
	return wrong
}

// TooLong returns the messages of Check about values that are too long.
func (r Row) TooLong() fault.Fields {
	wrong := fault.Fields{}
	for _, field := range rowFields {
		if value, rule := *field.of(&r), rules[field.name]; utf8.RuneCountInString(value) > rule.limit() {
			wrong.Add(field.name, rule.check(value))
		}
	}
	return wrong
}

// cut returns the row with so little of each value that is too long that Check still says so.
func (r Row) cut() Row {
	for _, field := range rowFields {
		value := field.of(&r)
		*value = rules[field.name].cut(*value)
	}
	return r
}

// limit is the length of the longest value that may be valid, in characters.
func (u rule) limit() int { return cmp.Or(u.maxLength, maxShort) }

// cut returns the first characters of a value, one more than the longest valid value has.
func (u rule) cut(value string) string {
	n, limit := 0, u.limit()
	for at := range value {
		if n > limit {
			return value[:at]
		}
		n++
	}
	return value
}

// check returns the message about a value; empty where the value is valid.
func (u rule) check(value string) string {
	switch {
	case value == "" && u.required:
		return "This field is required."
	case value == "":
		return ""
	case u.maxLength > 0 && utf8.RuneCountInString(value) > u.maxLength:
		return fmt.Sprintf("Ensure this field has no more than %d characters.", u.maxLength)
	case u.refuses != nil && strings.ContainsFunc(value, u.refuses):
		return "Control characters are not allowed."
	case u.message != nil:
		return u.message(value)
	}
	return ""
}
