package web

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
)

// maxEvents is the number of events that the page of an invitation shows.
const maxEvents = 100

// signedIn returns a page that only who is signed in sees. Others sign in first, and come back to the page, or to the list
// where they sent a form: a form is not sent by itself.
func signedIn(page func(*request) error) func(*request) error {
	return func(r *request) error {
		if r.user == nil {
			back := r.URL.Path
			if query := r.URL.RawQuery; query != "" {
				back = localOr(back+"?"+query, back)
			}
			if r.Method == http.MethodPost {
				back = "/" + strings.Split(back, "/")[1] + "/"
			}
			r.Form.Set("return_to", back)
			return r.redirectWithReturn("/sign-in/")
		}
		err := page(r)
		if fault.Is(err, fault.KindNotFound) {
			m := message{
				"There is nothing to see here", "What you look for does not exist any more, or you may not see it. Nothing was changed.",
			}
			return r.render(http.StatusNotFound, "message", m.Heading, m)
		}
		return err
	}
}

// onePage is the content of the page of one invitation for who invites.
type onePage struct {
	invitation.View
	Kind, Organization string
	Fields             []field // of the invitee
	Events             []timelineEntry
	MoreEvents         bool // there are older ones
	Managed            bool // the user may manage the invitation
	CanSend, CanCancel bool
	Done               string // what the last action did
	Link               string // of the invitee; empty: not for the user
	Problem            string // why the last action was refused
}

// field is a name and a value.
type field struct{ Name, Value string }

// doneWords has what the page of an invitation says after an action.
var doneWords = map[string]string{
	"send":   "The invitation goes out again.",
	"cancel": "The invitation was taken back. Its link does not work any more.",
}

// one is the console's page of one invitation.
func (p *pages) one(r *request) error {
	id, ok := directory.ParseUUID(r.PathValue("uuid"))
	if !ok {
		return fault.NotFound()
	}
	return p.showOne(r, http.StatusOK, id, "")
}

func (p *pages) showOne(r *request, status int, id uuid.UUID, problem string) error {
	found, err := p.Invitations.Retrieve(r.Context(), r.user.Actor, id)
	if err != nil {
		return err
	}
	out := onePage{
		View: found, Kind: scopeKind(found.Scope.Type), Organization: organizationOf(found.Scope), Fields: p.fields(found),
		Managed: r.user.MayManage(found.Scope), Done: doneWords[r.URL.Query().Get("done")], Problem: problem,
	}
	if out.Managed {
		events, err := p.Invitations.Events(r.Context(), r.user.Actor, id, 1, maxEvents)
		if err != nil && !fault.Is(err, fault.KindNotFound) {
			return err
		}
		out.Events, out.MoreEvents = timeline(events.Events), events.Total > len(events.Events)
		link, err := p.Invitations.Link(r.Context(), r.user.Actor, id)
		if err != nil && !fault.Is(err, fault.KindNotFound) {
			return err
		}
		out.Link = link.URL
		out.CanSend = invitation.CanDo(invitation.ActionSend, found.State)
		out.CanCancel = invitation.CanDo(invitation.ActionCancel, found.State)
	}
	return r.render(status, "one", "Invitation of "+found.Email, out)
}

// fields returns what is known of the invitee, as far as the policy keeps it.
func (p *pages) fields(v invitation.View) (known []field) {
	for _, each := range []struct{ name, label, value string }{
		{"full_name", "Name", v.FullName},
		{"native_name", "Name in their own script", v.NativeName},
		{"organization", "Organization", v.Organization},
		{"job_title", "Job title", v.JobTitle},
		{"phone_number", "Phone", v.PhoneNumber},
		{"civil_number", "Civil number", v.CivilNumber},
	} {
		if each.value != "" && p.Invitations.Policy.Allows(each.name) {
			known = append(known, field{each.label, each.value})
		}
	}
	return known
}

func (p *pages) send(r *request) error   { return p.act(r, "send", p.Invitations.Send) }
func (p *pages) cancel(r *request) error { return p.act(r, "cancel", p.Invitations.Cancel) }

// act does something to an invitation, and shows the invitation again.
func (p *pages) act(r *request, name string, do func(context.Context, directory.Actor, uuid.UUID) error) error {
	id, ok := directory.ParseUUID(r.PathValue("uuid"))
	if !ok {
		return fault.NotFound()
	}
	err := do(r.Context(), r.user.Actor, id)
	if problem := refusal(err); problem != "" {
		return p.showOne(r, http.StatusBadRequest, id, problem) // not found where the user does not see the invitation
	} else if err != nil {
		return err
	}
	return r.redirect("/console/" + id.String() + "/?done=" + name)
}

// refusal returns why a use case refused an action, in words; empty where it did not, or where the error says nothing that
// a user can act on.
func refusal(err error) string {
	var f *fault.Error
	if !errors.As(err, &f) {
		return ""
	}
	switch f.Kind {
	case fault.KindInvalid:
		var all []string
		for _, field := range slices.Sorted(maps.Keys(f.Fields)) {
			all = append(all, f.Fields[field]...)
		}
		return strings.Join(all, " ")
	case fault.KindRejected:
		return f.Message
	case fault.KindNotFound:
		return "You may not do this, or it is gone."
	case fault.KindThrottled:
		return "Too many mails: wait " + inWords(f.Wait) + ", and try again."
	default:
		return ""
	}
}

// organizationOf returns the name of a scope's organization; empty where it is the scope itself, or unknown.
func organizationOf(s directory.Scope) string {
	if s.Type == directory.Customer || s.Customer == nil {
		return ""
	}
	return s.Customer.Name
}
