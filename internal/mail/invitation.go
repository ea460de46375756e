package mail

import (
	"slices"
	"time"
)

// Kind is the name of a mail and, followed by ".txt.tmpl" or ".html.tmpl", of its template files.
type Kind string

// The kinds of mail, each with its recipient.
const (
	InvitationCreated      Kind = "invitation_created"       // the invitee
	InvitationRequested    Kind = "invitation_requested"     // a staff user, with an approve and a reject link
	InvitationRequests     Kind = "invitation_requests"      // a staff user, with these two links for each of several requests
	InvitationRejected     Kind = "invitation_rejected"      // the inviter
	InvitationExpired      Kind = "invitation_expired"       // the inviter
	SignInCode             Kind = "sign_in_code"             // a person who signs in: Code
	InvitationRefused      Kind = "invitation_refused"       // the inviter, who may not invite any more: nobody can accept
	InvitationDeclined     Kind = "invitation_declined"      // the inviter
	InvitationScopeRemoved Kind = "invitation_scope_removed" // the inviter: the scope was removed
	InvitationAccepted     Kind = "invitation_accepted"      // the inviter
	// InvitationUndeliverable goes to the inviter: the invitation was not sent, and is not tried again.
	InvitationUndeliverable Kind = "invitation_undeliverable"
	// InvitationRenewalAsked goes to the inviter of an expired invitation or, with ToStaff, to a staff user: Asker asks for a
	// new one.
	InvitationRenewalAsked Kind = "invitation_renewal_asked"
	// PermissionRequestSubmitted goes to an approver: each of Requests asks for a role by a group invitation.
	PermissionRequestSubmitted Kind = "permission_request_submitted"
	PermissionRequestRejected  Kind = "permission_request_rejected" // the user who asked
)

var kinds = []Kind{
	InvitationCreated, InvitationRequested, InvitationRequests, InvitationRejected, InvitationExpired, InvitationRefused,
	InvitationDeclined, InvitationScopeRemoved, InvitationAccepted, InvitationUndeliverable, InvitationRenewalAsked,
	PermissionRequestSubmitted, PermissionRequestRejected, SignInCode,
}

// Invitation is the data of every template. Its fields may hold anything that users typed: [Renderer.Render]
// sanitizes them before it executes a template.
type Invitation struct {
	SiteName string // set by the Renderer, which overwrites a caller's value

	Email   string // the invitee's address
	Inviter string // display name; "" if the inviter no longer exists

	ScopeName    string
	ScopeType    string // customer, project, offering, call or proposal; see ScopeKind
	CustomerName string // the organization that the scope belongs to; "" if unknown, or if the scope is the organization

	RoleName        string // such as PROJECT.ADMIN; see Role
	RoleDescription string

	ExtraText string // a personal text by the inviter, of any number of lines; see ExtraLines

	// Reason is why, in any number of lines; "" if nobody said; see ReasonLines. It belongs to InvitationRejected,
	// InvitationDeclined, InvitationUndeliverable and PermissionRequestRejected, and to an InvitationExpired that is Undelivered.
	Reason      string
	Undelivered bool   // InvitationExpired only: the invitee never got the invitation
	AcceptedBy  string // InvitationAccepted only: the display name of who accepted

	// Asker is the display name, and AskerEmail the address, of who asks in an InvitationRenewalAsked and in each of the
	// Requests of a PermissionRequestSubmitted. The address is "" if it is the name, or there is none.
	Asker, AskerEmail string
	// ProjectName is the project of the organization that is found or made if the request of a PermissionRequestSubmitted or
	// PermissionRequestRejected is approved, with the role in that project; "" if the role is one in the scope.
	ProjectName string

	ToStaff bool // InvitationRenewalAsked only: the inviter can't send the invitation again

	// Link is the URL of the page to accept on; in a mail to the creator, it is the page of the scope, or "". This
	// and the other links are absolute http or https URLs.
	Link string

	ApproveLink, RejectLink string // InvitationRequested, and each of Requests

	// Requests are what an InvitationRequests or a PermissionRequestSubmitted asks about, each with its own links; the other
	// fields but SiteName, More, Link and Expires are those of one of them. The Link of a PermissionRequestSubmitted is "" if
	// its requests have different ones.
	Requests []Invitation
	More     int // the number of requests that follow in later mails

	Code string // SignInCode only, which has no other field than Email, Expires and SiteName

	Expires  time.Time // the zero time if there is no end; see Deadline
	RoleEnds time.Time // when the role ends that the invitee gets; the zero time if it does not end; see RoleDeadline
	Reminder bool      // InvitationCreated only: the mail repeats an earlier one
}

// Waiting returns the number of requests that wait: those in the mail and those that follow.
func (v Invitation) Waiting() int { return len(v.Requests) + v.More }

// ScopeKind returns the type of the scope as people call it: ScopeType, with "organization" for customer.
func (v Invitation) ScopeKind() string {
	if v.ScopeType == "customer" {
		return "organization"
	}
	return v.ScopeType
}

// ScopeTitle returns the name of the scope, truncated to the length of a heading: 80 characters.
func (v Invitation) ScopeTitle() string { return truncate(v.ScopeName, 80) }

// ProjectTitle returns ProjectName as ScopeTitle returns the name of the scope.
func (v Invitation) ProjectTitle() string { return truncate(v.ProjectName, 80) }

// Organization returns the name of the organization that the scope belongs to, or "" if the scope is that organization.
func (v Invitation) Organization() string {
	if v.ScopeType == "customer" {
		return ""
	}
	return v.CustomerName
}

// Role returns the description of the role, or its name if it has no description.
func (v Invitation) Role() string {
	if v.RoleDescription != "" {
		return v.RoleDescription
	}
	return v.RoleName
}

// ExtraLines returns the lines of ExtraText, without control characters and without empty lines at its start and end.
func (v Invitation) ExtraLines() []string { return sanitizeLines(v.ExtraText) }

// ReasonLines returns the lines of Reason as ExtraLines returns those of ExtraText.
func (v Invitation) ReasonLines() []string { return sanitizeLines(v.Reason) }

// Deadline returns Expires in UTC, such as "2 January 2006, 15:04 UTC", or "" if there is no end.
func (v Invitation) Deadline() string { return deadline(v.Expires) }

// RoleDeadline returns RoleEnds as Deadline returns Expires.
func (v Invitation) RoleDeadline() string { return deadline(v.RoleEnds) }

func deadline(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2 January 2006, 15:04 UTC")
}

// maxNameRunes is the limit of each name in a mail, in characters. It is above every limit of the API, and keeps even a
// subject of one word within a line (998 octets, RFC 5322, section 2.1.1).
const maxNameRunes = 500

// sanitized returns v with every name, also of its Requests, sanitized as one line and truncated. ExtraLines and ReasonLines
// sanitize texts; checkLinks checks the links.
func (v Invitation) sanitized() Invitation {
	for _, s := range []*string{
		&v.SiteName, &v.Email, &v.Inviter, &v.ScopeName, &v.ScopeType, &v.CustomerName,
		&v.RoleName, &v.RoleDescription, &v.Asker, &v.AskerEmail, &v.ProjectName, &v.AcceptedBy,
	} {
		*s = truncate(sanitizeLine(*s), maxNameRunes)
	}
	v.Requests = slices.Clone(v.Requests)
	for i, request := range v.Requests {
		request.SiteName = v.SiteName
		v.Requests[i] = request.sanitized()
	}
	return v
}
