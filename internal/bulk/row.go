package bulk

import (
	"invited/internal/fault"
)

const (
	// MaxRows is the number of rows that one bulk invitation has at most.
	MaxRows = 10_000
	// DirectRows is the number of rows up to which a bulk invitation is done in the request.
	DirectRows = 100
)

// A Row is one person to invite, as somebody wrote it. Texts are trimmed, and empty where they are missing. Defaults are
// filled in.
type Row struct {
	Line                int    `json:"line,omitempty"` // of a table, where the row begins, from 1; 0: the row comes from no table
	Email               string `json:"email"`
	Role                string `json:"role,omitempty"`  // uuid or name
	Scope               string `json:"scope,omitempty"` // URL or uuid
	FullName            string `json:"full_name,omitempty"`
	NativeName          string `json:"native_name,omitempty"`
	PhoneNumber         string `json:"phone_number,omitempty"`
	Organization        string `json:"organization,omitempty"`
	JobTitle            string `json:"job_title,omitempty"`
	CivilNumber         string `json:"civil_number,omitempty"`
	ExtraInvitationText string `json:"extra_invitation_text,omitempty"`
	Expires             string `json:"expires,omitempty"`            // RFC 3339
	MembershipExpires   string `json:"membership_expires,omitempty"` // RFC 3339
	// Wrong has the messages about values that are no texts, by field. Check adds the others.
	Wrong fault.Fields `json:"wrong,omitempty"`
}

type rowField struct {
	name string
	of   func(*Row) *string
}

// rowFields has the fields of a row in the order of a table's columns.
var rowFields = []rowField{
	{"email", func(r *Row) *string { return &r.Email }},
	{"full_name", func(r *Row) *string { return &r.FullName }},
	{"native_name", func(r *Row) *string { return &r.NativeName }},
	{"role", func(r *Row) *string { return &r.Role }},
	{"scope", func(r *Row) *string { return &r.Scope }},
	{"phone_number", func(r *Row) *string { return &r.PhoneNumber }},
	{"organization", func(r *Row) *string { return &r.Organization }},
	{"job_title", func(r *Row) *string { return &r.JobTitle }},
	{"civil_number", func(r *Row) *string { return &r.CivilNumber }},
	{"extra_invitation_text", func(r *Row) *string { return &r.ExtraInvitationText }},
	{"expires", func(r *Row) *string { return &r.Expires }},
	{"membership_expires", func(r *Row) *string { return &r.MembershipExpires }},
}

// Field returns the field of a row that has a name in the API; nil where there is none.
func (r *Row) Field(name string) *string {
	for _, field := range rowFields {
		if field.name == name {
			return field.of(r)
		}
	}
	return nil
}

// FillIn gives each empty field the value that defaults has, unless there is a message about the field.
func (r *Row) FillIn(defaults *Row) {
	for _, field := range rowFields {
		if value := field.of(r); *value == "" && len(r.Wrong[field.name]) == 0 {
			*value = *field.of(defaults)
		}
	}
}

// OnDuplicate says what to do with a row for which an invitation is open already.
type OnDuplicate string

// The values of OnDuplicate, as the API names them.
const (
	Skip OnDuplicate = "skip" // leave the open one alone
	Send OnDuplicate = "send" // send a pending one again
)

// Code is the outcome of a row.
type Code string

// The codes, as the API names them.
const (
	Created   Code = "created"   // the invitation was made
	Sent      Code = "sent"      // an invitation was open already, and was sent again
	Duplicate Code = "duplicate" // an invitation is open already, or an earlier row is the same
	Member    Code = "member"    // a user with the address holds the role already
	Invalid   Code = "invalid"   // a field is not valid
	Refused   Code = "refused"   // the caller may not invite there, or a rule or a limit refuses the row
	Canceled  Code = "canceled"  // the bulk invitation was stopped before the row was done
)

// Codes lists every code.
var Codes = []Code{Created, Sent, Duplicate, Member, Invalid, Refused, Canceled}
