package mail

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Names in a preview of mails that are not a [Kind] of their own: the reminder, and a PermissionRequestSubmitted about several
// requests.
const (
	reminderName  = "invitation_reminder"
	submittedName = "permission_requests_submitted"
)

// PreviewNames returns the names that [Renderer.Preview] takes, in a fixed order: those of the kinds,
// "invitation_reminder" and "permission_requests_submitted".
func PreviewNames() []string {
	var names []string
	for _, kind := range kinds {
		names = append(names, string(kind))
		if kind == InvitationCreated {
			names = append(names, reminderName)
		}
		if kind == PermissionRequestSubmitted {
			names = append(names, submittedName)
		}
	}
	return names
}

// Preview renders a mail with fixed sample values. Its links begin with frontendURL, which may or may not end in a
// slash, and lead nowhere.
//
// An unknown name is an error that lists the known ones. Other errors are those of [Renderer.Render].
func (r *Renderer) Preview(name, frontendURL string) (Message, error) {
	if names := PreviewNames(); !slices.Contains(names, name) {
		return Message{}, fmt.Errorf("there is no mail %q; there are %s", name, strings.Join(names, ", "))
	}
	base := strings.TrimRight(frontendURL, "/") + "/"
	v := sampleInvitation(base)
	kind, to, date := Kind(name), v.Email, v.Expires.AddDate(0, 0, -7)
	switch name {
	case reminderName:
		kind, date, v.Reminder = InvitationCreated, v.Expires.AddDate(0, 0, -1), true
	case string(PermissionRequestRejected):
		v.Link = ""
	case string(PermissionRequestSubmitted), submittedName:
		kind, to, v.Link = PermissionRequestSubmitted, "olivia@acme.example", base+"organizations/"+sampleID+"/group-invitations/"
		if name != submittedName {
			v.Requests, v.More = v.Requests[:1], 0
		}
		for i := range v.Requests {
			v.Requests[i].Link, v.Requests[i].RoleName, v.Requests[i].RoleDescription = v.Link, v.RoleName, v.RoleDescription
		}
	case string(InvitationRequested), string(InvitationRequests):
		to = "staff@example.com"
	case string(InvitationRejected), string(InvitationExpired), string(InvitationRefused), string(InvitationDeclined),
		string(InvitationRenewalAsked), string(InvitationScopeRemoved), string(InvitationAccepted):
		to, date, v.Link = "olivia@acme.example", v.Expires, base+"projects/"+sampleID+"/"
	case string(InvitationUndeliverable):
		to, date, v.Link = "olivia@acme.example", v.Expires.AddDate(0, 0, -7), base+"projects/"+sampleID+"/"
		v.Reason = "The mail server refused the address (550 5.1.1: there is no such mailbox). " +
			"Invite them at another address, or send the invitation again once this one works."
	}
	return r.Render(kind, to, name+".preview@example.com", date, v)
}

const (
	sampleID = "00000000-0000-4000-8000-000000000000"
	// sampleToken is about as long as a real approval token.
	sampleToken = "v1.SAMPLE-TOKEN-THAT-DECIDES-NOTHING." +
		"SAMPLE-TOKEN-SAMPLE-TOKEN-SAMPLE-TOKEN-SAMPLE-TOKEN-SAMPLE-TOKEN"
)

// sampleInvitation returns an invitation with a value in every field. base is the beginning of its links, and ends in
// a slash.
func sampleInvitation(base string) Invitation {
	v := Invitation{
		Email:           "ina@university.example",
		Inviter:         "Olivia Owner",
		ScopeName:       "Apollo",
		ScopeType:       "project",
		CustomerName:    "Acme",
		RoleName:        "PROJECT.ADMIN",
		RoleDescription: "System administrator",
		ExtraText: "Hello Ina,\n" +
			"we have moved our simulations to the new cluster, and I would like you to look after them.\n\n" +
			"The first run is due next week. Call me if anything is unclear!",
		Reason:      "Thank you, but I have no time for this until the summer.",
		AcceptedBy:  "Ina Invitee",
		Asker:       "Ina Invitee",
		AskerEmail:  "ina@university.example",
		Link:        base + "invitation/" + sampleID + "/",
		Code:        "204816",
		ApproveLink: base + "invitation_approve/" + sampleToken + "/",
		RejectLink:  base + "invitation_reject/" + sampleToken + "/",
		Expires:     time.Date(2026, time.March, 9, 9, 30, 0, 0, time.UTC),
	}
	second, third := v, v
	second.Email, second.ExtraText = "tom@university.example", ""
	third.Email, third.Inviter, third.ExtraText = "eva@institute.example", "Max Manager", ""
	third.ScopeName, third.ScopeType, third.CustomerName = "Acme", "customer", ""
	third.RoleName, third.RoleDescription = "CUSTOMER.OWNER", "Organization owner"
	second.Asker, second.AskerEmail = "tom@university.example", ""
	third.Asker, third.AskerEmail, third.ProjectName = "Eva Example", "eva@institute.example", "Lab of Eva"
	v.Requests, v.More = []Invitation{v, second, third}, 4
	return v
}
