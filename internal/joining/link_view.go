package joining

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
)

// Refusal is a reason why a user can't ask for what a group invitation offers, in the words of the API: the message of the
// fault.KindRejected that Submit returns.
type Refusal string

// The refusals of Submit, beside RefusedBy.
const (
	RefusedInactive  Refusal = "Only pending invitation can be requested."
	RefusedHeld      Refusal = "User already has this role in the scope."
	RefusedSecond            = Refusal(invitation.RefusedSecond)
	RefusedRequested Refusal = "Permission request already exists for this scope."
	RefusedNotMeant  Refusal = "You are not allowed to accept this invitation. Your email or organization must match the invitation restrictions."
)

// Refusals that a LinkView can't foresee: they depend on the project, or on an approval at once.
const (
	RefusedName      Refusal = "The organization has a project of this name already, so the request needs another name."
	RefusedLongName  Refusal = "The project's name would be longer than 255 characters, so the request needs a shorter one."
	RefusedInvisible Refusal = "The project's name would have invisible characters, so the request needs another name."
	RefusedRequester Refusal = "The requester's account is not active, so the request can't be approved."
	RefusedManager           = Refusal(invitation.RefusedManager)
	RefusedRole              = Refusal(invitation.RefusedRole)
)

// RefusedBy returns the refusal of a scope of a type that does not admit the user's address.
func RefusedBy(t directory.ScopeType) Refusal {
	return Refusal("User email, affiliation, or identity source does not match the " + string(t) + " restrictions.")
}

const (
	// MaxProjectName is the length of the longest name of a project, in characters: that of the directory file, which exports
	// made projects.
	MaxProjectName = 255
	// MaxProjectDescription is the length of the longest description, in characters.
	MaxProjectDescription = 2000
)

// maxShownRequests is the number of pending requests that a LinkView has at most.
const maxShownRequests = 10

// LinkView is a group invitation as a user finds it who has opened its link.
type LinkView struct {
	View
	// ProjectName is the name of the project that an approval finds or makes where the user gives none; empty: the group
	// invitation makes no projects.
	ProjectName string
	// HasFixedName: the creator chose the whole of ProjectName, and everybody gets the same project.
	HasFixedName bool
	AtOnce       bool      // a request is approved at once
	Refusal      Refusal   // why the user can't ask now; empty: the user can
	Pending      []Request // the user's own in the scope, also by other group invitations, the newest first
	// Last is the user's newest request by the group invitation or, where an approved one by another is in the way, that one;
	// nil: there is none.
	Last *Request
	// Joined: Last was approved, and the user still has what it asked for.
	Joined bool
}

// ViewLink returns a group invitation, and whether the caller can ask for what it offers. ViewLink returns fault.KindNotFound
// where there is no such group invitation.
func (s *Service) ViewLink(ctx context.Context, caller directory.Actor, id uuid.UUID) (out LinkView, err error) {
	err = s.Store.Read(ctx, func(tx Tx) error {
		g, err := tx.FindGroup(id)
		if err != nil {
			return err
		}
		// Nobody waits for a look, and so the e-mail patterns are read without the row's lock.
		scope, _, err := tx.FindTarget(g.Scope.Type, g.ScopeUUID, g.RoleUUID)
		if err != nil {
			return err
		}
		if g.Scope.UserEmailPatterns = scope.UserEmailPatterns; scope.Customer != nil { // nil: the scope is removed
			g.Scope.Customer.UserEmailPatterns = scope.Customer.UserEmailPatterns
		}
		// No transaction waits for the evaluation of patterns here.
		admits := func(patterns []string, scope directory.Scope, email string) (admission, error) {
			return newQuestion(patterns, scope, email).answer(), nil
		}
		out = LinkView{View: view(g, caller, tx.Now())}
		if g.MakesProjects {
			out.ProjectName, out.HasFixedName = projectName(newRequest(g, caller.User, "", "", tx.Now()))
		}
		if out.AtOnce, err = s.approvesItself(tx, admits, g); err != nil {
			return err
		}
		var refused *fault.Error
		if err := s.checkSubmission(tx, admits, g, caller); errors.As(err, &refused) && refused.Kind == fault.KindRejected {
			out.Refusal = Refusal(refused.Message)
		} else if err != nil {
			return err
		}
		if err := findOwn(tx, caller.User, &out); err != nil {
			return err
		}
		out.Joined, err = hasJoined(tx, caller, out)
		return err
	})
	if err != nil {
		return LinkView{}, err
	}
	return out, nil
}

// findOwn reads the requests of a user that a LinkView shows.
func findOwn(tx Tx, user directory.User, out *LinkView) (err error) {
	q := RequestQuery{
		Visible: RequestVisibility{User: user.UUID}, CreatedBy: &user.UUID,
		Scope: &invitation.ScopeRef{Type: out.Scope.Type, UUID: out.ScopeUUID}, States: []State{Pending},
		Window: directory.Window{Limit: maxShownRequests},
	}
	if out.Pending, _, err = tx.ListPermissionRequests(q); err != nil {
		return err
	}
	q.Limit, q.States = 1, nil
	if out.Refusal == RefusedRequested && len(out.Pending) == 0 {
		q.States = []State{Approved}
	} else {
		q.Invitation = &out.UUID
	}
	newest, _, err := tx.ListPermissionRequests(q)
	if err == nil && len(newest) > 0 {
		out.Last = &newest[0]
	}
	return err
}

// hasJoined reports whether a user still has what their last request asked for. Where no request waits in a customer, HasRequest
// finds the roles in made projects that are in force.
func hasJoined(tx Tx, user directory.Actor, link LinkView) (bool, error) {
	switch last := link.Last; {
	case last == nil || last.State != Approved:
		return false, nil
	case !last.Group.MakesProjects:
		return holdsRole(user, last.Group.Granted().UUID, last.ScopeUUID), nil
	case len(link.Pending) > 0:
		return false, nil
	}
	return tx.HasRequest(user.UUID, link.ScopeUUID)
}
