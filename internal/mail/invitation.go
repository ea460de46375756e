package mail

import "time"

// Kind names a mail and, with ".txt.tmpl" and ".html.tmpl", its template files.
type Kind string

// The kinds of mail, and who gets each.
const (
	InvitationCreated   Kind = "invitation_created"   // the invitee
	InvitationRequested Kind = "invitation_requested" // a staff user, with an approve and a reject link
	InvitationRejected  Kind = "invitation_rejected"  // whoever created the invitation
	InvitationExpired   Kind = "invitation_expired"   // whoever created the invitation
)

var kinds = []Kind{InvitationCreated, InvitationRequested, InvitationRejected, InvitationExpired}

// Invitation is what every template is given. Its fields are taken as typed by
// users; [Renderer.Render] cleans them before a template sees them.
type Invitation struct {
	SiteName string // set by the Renderer; what a caller puts here is overwritten

	Email   string // the invitee's address
	Inviter string // display name; "" where the inviter is gone

	ScopeName    string
	ScopeType    string // customer, project, offering, call or proposal; see ScopeKind
	CustomerName string // the organization the scope belongs to; "" where unknown or itself the scope

	RoleName        string // such as PROJECT.ADMIN; see Role
	RoleDescription string

	ExtraText string // the inviter's own words, of any number of lines; see ExtraLines

	// Link is where the recipient goes: the page to accept on, or the page of
	// the scope in a mail to the creator, where it may be "". An absolute http
	// or https URL, as are the other two.
	Link string

	ApproveLink, RejectLink string // InvitationRequested only

	Expires  time.Time // the zero time where there is no end; see Deadline
	Reminder bool      // InvitationCreated only: this is not the first mail
}

// ScopeKind is the type of the scope in the word people use for it.
func (v Invitation) ScopeKind() string {
	if v.ScopeType == "customer" {
		return "organization"
	}
	return v.ScopeType
}

// ScopeTitle is the name of the scope at a length fit for a heading.
func (v Invitation) ScopeTitle() string { return shorten(v.ScopeName, 80) }

// Organization is the name of the organization the scope belongs to, "" where
// it would say nothing new.
func (v Invitation) Organization() string {
	if v.ScopeType == "customer" {
		return ""
	}
	return v.CustomerName
}

// Role is what people call the role: its description, or its name where it has
// none.
func (v Invitation) Role() string {
	if v.RoleDescription != "" {
		return v.RoleDescription
	}
	return v.RoleName
}

// ExtraLines are the lines of the inviter's own words, without control
// characters and without surrounding empty lines.
func (v Invitation) ExtraLines() []string { return lines(v.ExtraText) }

// Deadline is Expires as people read it, in UTC and saying so; "" where there
// is no end.
func (v Invitation) Deadline() string {
	if v.Expires.IsZero() {
		return ""
	}
	return v.Expires.UTC().Format("2 January 2006, 15:04 UTC")
}

// maxNameRunes bounds each name in a mail. It is above every limit of the API
// and keeps the longest subject of one word within a line (RFC 5322, section
// 2.1.1: 998 octets).
const maxNameRunes = 500

// cleaned is v with each value that belongs on one line brought to one.
func (v Invitation) cleaned() Invitation {
	for _, s := range []*string{
		&v.SiteName, &v.Email, &v.Inviter, &v.ScopeName, &v.ScopeType, &v.CustomerName,
		&v.RoleName, &v.RoleDescription,
	} {
		*s = shorten(line(*s), maxNameRunes)
	}
	return v
}
