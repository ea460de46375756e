package mail

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// reminder is the name under which [Renderer.Preview] shows the reminder, which
// is no kind of its own.
const reminder = "invitation_reminder"

// PreviewNames are the names that [Renderer.Preview] takes, in an order that
// stays: those of the kinds, and "invitation_reminder".
func PreviewNames() []string {
	var names []string
	for _, kind := range kinds {
		names = append(names, string(kind))
		if kind == InvitationCreated {
			names = append(names, reminder)
		}
	}
	return names
}

// Preview makes a mail of made-up values, the same ones each time. Its links are
// built on frontendURL, with or without a slash at its end, and lead nowhere.
//
// An unknown name is an error that lists the known ones. Other errors are those
// of [Renderer.Render].
func (r *Renderer) Preview(name, frontendURL string) (Message, error) {
	if names := PreviewNames(); !slices.Contains(names, name) {
		return Message{}, fmt.Errorf("there is no mail %q; there are %s", name, strings.Join(names, ", "))
	}
	base := strings.TrimRight(frontendURL, "/") + "/"
	v := madeUp(base)
	kind, to, date := Kind(name), v.Email, v.Expires.AddDate(0, 0, -7)
	switch name {
	case reminder:
		kind, date, v.Reminder = InvitationCreated, v.Expires.AddDate(0, 0, -1), true
	case string(InvitationRequested):
		to = "staff@example.com"
	case string(InvitationRejected), string(InvitationExpired):
		to, date, v.Link = "olivia@acme.example", v.Expires, base+"projects/"+madeUpID+"/"
	}
	return r.Render(kind, to, name+".preview@example.com", date, v)
}

const (
	madeUpID = "00000000-0000-4000-8000-000000000000"
	// madeUpToken is about as long as those that decide.
	madeUpToken = "v1.SAMPLE-TOKEN-THAT-DECIDES-NOTHING." +
		"SAMPLE-TOKEN-SAMPLE-TOKEN-SAMPLE-TOKEN-SAMPLE-TOKEN-SAMPLE-TOKEN"
)

// madeUp is an invitation with something in every field, and links on a base
// with a slash at its end.
func madeUp(base string) Invitation {
	return Invitation{
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
		Link:        base + "invitation/" + madeUpID + "/",
		ApproveLink: base + "invitation_approve/" + madeUpToken + "/",
		RejectLink:  base + "invitation_reject/" + madeUpToken + "/",
		Expires:     time.Date(2026, time.March, 9, 9, 30, 0, 0, time.UTC),
	}
}
