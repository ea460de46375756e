package invitation

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/token"
)

// Policy is what an operator decides for the whole installation. The names are Waldur's.
type Policy struct {
	Lifetime             time.Duration // of an invitation, from its creation
	MaxAge               time.Duration // of an approval token, from its issue
	OnlyStaffCanInvite   bool          // others' invitations wait for approval
	ValidateEmail        bool          // only a user with the invitation's e-mail sees and accepts it
	StrictCheck          bool          // accepting with another e-mail is refused in words
	DisableMultipleRoles bool          // one role for each user and scope
	OneProjectManager    bool          // at most one PROJECT.MANAGER for each project
	CreateMissingUser    bool          // an unknown invitee gets a user record before delivery
	UseWebhooks          bool          // invitations into projects are delivered by webhook
	AllowedFields        []string      // which of the invitee's own fields are taken; see Allows
}

// byMembers tells whether there are rules that go by who else is a member of a scope.
func (p Policy) byMembers() bool { return p.DisableMultipleRoles || p.OneProjectManager }

// Allows tells whether one of full_name, native_name, phone_number, organization, job_title and civil_number is
// taken from a request and shown in responses.
func (p Policy) Allows(field string) bool { return slices.Contains(p.AllowedFields, field) }

// Service is the use cases, one method for each operation of the API and each step of a delivery. A refusal is a
// *fault.Error: beside those that a method names, fault.KindUnavailable where the database is out of reach or busy. Any
// other error is internal. Every field but Policy must be set.
type Service struct {
	Store  Store
	Policy Policy
	Signer *token.Signer // approval tokens
	// FrontendURL is the base of the links in mails, with a slash at its end.
	FrontendURL string
}

func (s *Service) view(i Invitation, now time.Time) View {
	return View{Invitation: i, State: i.StateAt(now, s.Policy.Lifetime), Expires: i.Expires(s.Policy.Lifetime)}
}

// Page is a part of a list.
type Page struct {
	Invitations []View
	Total       int // over all pages
}

// List returns the page'th page of size invitations, from 1, that the caller can see and the query asks for. It
// returns fault.KindNotFound for a page past the end; page 1 of nothing is empty. It sets the query's Visible, Cutoff
// and Cut itself.
func (s *Service) List(ctx context.Context, caller directory.User, q Query, page, size int) (Page, error) {
	var out Page
	err := s.Store.Read(ctx, func(tx Tx) error {
		actor, err := tx.Actor(caller)
		if err != nil {
			return err
		}
		q.Visible, q.Cutoff = actor.Visibility(), tx.Now().Add(-s.Policy.Lifetime)
		rows, total, err := directory.Paginate(page, size, func(c directory.Window) ([]Invitation, int, error) {
			q.Window = c
			return tx.List(q)
		})
		if err != nil {
			return err
		}
		out = Page{Total: total, Invitations: make([]View, 0, len(rows))}
		for _, each := range rows {
			out.Invitations = append(out.Invitations, s.view(each, tx.Now()))
		}
		return nil
	})
	return out, err
}

// Count returns how many invitations the caller can see that the query asks for. It sets the query's Visible and Cutoff
// itself.
func (s *Service) Count(ctx context.Context, caller directory.User, q Query) (total int, err error) {
	err = s.Store.Read(ctx, func(tx Tx) error {
		actor, err := tx.Actor(caller)
		if err != nil {
			return err
		}
		q.Visible, q.Cutoff = actor.Visibility(), tx.Now().Add(-s.Policy.Lifetime)
		total, err = tx.Count(q)
		return err
	})
	return total, err
}

// Retrieve returns an invitation that the caller sees in the list; fault.KindNotFound otherwise.
func (s *Service) Retrieve(ctx context.Context, caller directory.User, id uuid.UUID) (View, error) {
	var out View
	err := s.Store.Read(ctx, func(tx Tx) (err error) {
		out, _, err = s.visible(tx, caller, id, tx.Find)
		return err
	})
	return out, err
}

// visible returns an invitation that the caller sees in the list, found by find, and the caller with what they
// hold.
func (s *Service) visible(
	tx Tx, caller directory.User, id uuid.UUID, find func(uuid.UUID) (Invitation, error),
) (View, directory.Actor, error) {
	actor, err := tx.Actor(caller)
	if err != nil {
		return View{}, actor, err
	}
	found, err := find(id)
	if err != nil {
		return View{}, actor, err
	}
	view := s.view(found, tx.Now())
	if !found.visibleTo(actor.Visibility(), view.State) {
		return View{}, actor, fault.NotFound()
	}
	return view, actor, nil
}

// Details returns what an invitee may see before accepting. Staff and support see any; others one that is
// pending, expired or canceled, whose civil number is empty or their own (and whose e-mail is theirs, where that
// is enforced), any to a scope where they hold a role, and any that they may manage; fault.KindNotFound otherwise.
func (s *Service) Details(ctx context.Context, caller directory.User, id uuid.UUID) (View, error) {
	var out View
	err := s.Store.Read(ctx, func(tx Tx) error {
		actor, err := tx.Actor(caller)
		if err != nil {
			return err
		}
		found, byLink, err := s.offer(tx, id, tx.Find)
		if err != nil {
			return err
		}
		out = s.view(found, tx.Now())
		offered := slices.Contains([]State{Pending, Expired, Canceled}, out.State) && s.meantFor(found, byLink, caller)
		if offered || actor.SeesAll() || actor.HoldsRoleIn(found.ScopeUUID) || actor.MayManage(found.Scope) {
			return nil
		}
		return fault.NotFound()
	})
	if err != nil {
		return View{}, err
	}
	return out, nil
}

// offer returns the invitation, found by find, of an invitee's link, or of its own uuid, and whether it was the link. They
// are the same until its e-mail is changed. fault.KindNotFound where there is neither.
func (s *Service) offer(
	tx Tx, id uuid.UUID, find func(uuid.UUID) (Invitation, error),
) (found Invitation, byLink bool, err error) {
	found, err = find(id)
	if !fault.Is(err, fault.KindNotFound) {
		return found, found.LinkUUID == nil, err
	}
	own, err := tx.Linked(id)
	if err != nil {
		return Invitation{}, false, err
	}
	found, err = find(own)
	if err == nil && (found.LinkUUID == nil || *found.LinkUUID != id) { // changed since, while find waited for a lock
		err = fault.NotFound()
	}
	return found, true, err
}

// meantFor tells whether a user is the one that an invitation names: by civil number where it has one, and by e-mail
// where that is enforced, or where they do not have its link.
func (s *Service) meantFor(i Invitation, byLink bool, user directory.User) bool {
	return (i.CivilNumber == "" || i.CivilNumber == user.CivilNumber) &&
		((byLink && !s.Policy.ValidateEmail) || i.EmailFolded == user.EmailFolded)
}

// Check is what anybody with the link may know of a pending invitation.
type Check struct {
	Email               string
	CivilNumberRequired bool
}

// Check returns it; fault.KindNotFound where the link leads to none that is pending, or its scope was removed.
func (s *Service) Check(ctx context.Context, id uuid.UUID) (Check, error) {
	var out Check
	err := s.Store.Read(ctx, func(tx Tx) error {
		found, byLink, err := s.offer(tx, id, tx.FindOffer)
		if err != nil {
			return err
		}
		if !byLink || s.view(found, tx.Now()).State != Pending || found.Scope.Removed() {
			return fault.NotFound()
		}
		out = Check{Email: found.Email, CivilNumberRequired: found.CivilNumber != ""}
		return nil
	})
	return out, err
}

// Cancel takes back a pending or project invitation that the caller sees and may manage. It returns
// fault.KindNotFound where they don't or may not, fault.KindRejected in any other state.
func (s *Service) Cancel(ctx context.Context, caller directory.User, id uuid.UUID) error {
	return s.Store.Write(ctx, func(tx Tx) error {
		view, err := s.managed(tx, caller, id)
		if err != nil {
			return err
		}
		if !view.State.open() {
			return fault.Rejected("Only pending or planned invitations can be canceled.")
		}
		canceled := view.Invitation
		canceled.StoredState = Canceled
		return replace(tx, view.Invitation, canceled, by(caller, EventCanceled))
	})
}

// managed returns an invitation, locked, that the caller sees in the list and may manage; fault.KindNotFound
// otherwise.
func (s *Service) managed(tx Tx, caller directory.User, id uuid.UUID) (View, error) {
	view, actor, err := s.visible(tx, caller, id, tx.Lock)
	if err != nil {
		return View{}, err
	}
	if !actor.MayManage(view.Scope) {
		return View{}, fault.NotFound()
	}
	return s.settled(tx, view)
}

// settled writes that time has ended an invitation where its row does not say so, before anything else is done to it:
// its events tell all of its life.
func (s *Service) settled(tx Tx, view View) (View, error) {
	if view.State != Expired || view.StoredState == Expired {
		return view, nil
	}
	expired, err := lapse(tx, view.Invitation)
	return s.view(expired, tx.Now()), err
}

// replace writes a changed invitation, which is locked, and the event of it.
func replace(tx Tx, old, changed Invitation, c cause) error {
	return tx.Replace(old, changed, c.event(changed, old.StoredState, changed.StoredState))
}

// refuseTwice is what a transaction came to that was to open an invitation, or to change one that is open.
func refuseTwice(err error) error {
	if errors.Is(err, ErrTwice) {
		return errOpen()
	}
	return err
}

// errOpen refuses a second open invitation.
func errOpen() error {
	return fault.Field("email", "Pending invitation already exists for this email and role.")
}

// Delete removes an invitation that the caller sees: fault.KindNotFound where they don't, fault.KindForbidden where they
// are not staff.
func (s *Service) Delete(ctx context.Context, caller directory.User, id uuid.UUID) error {
	return s.Store.Write(ctx, func(tx Tx) error {
		view, _, err := s.visible(tx, caller, id, tx.Lock)
		if err != nil {
			return err
		}
		if !caller.IsStaff {
			return fault.Forbidden()
		}
		view, err = s.settled(tx, view)
		if err != nil {
			return err
		}
		return removed(tx, caller, view)
	})
}

// Destroy removes an invitation that the caller sees in the list and may manage; fault.KindNotFound otherwise.
func (s *Service) Destroy(ctx context.Context, caller directory.User, id uuid.UUID) error {
	return s.Store.Write(ctx, func(tx Tx) error {
		view, err := s.managed(tx, caller, id)
		if err != nil {
			return err
		}
		return removed(tx, caller, view)
	})
}

func removed(tx Tx, caller directory.User, view View) error {
	return tx.Delete(view.UUID, by(caller, EventDeleted).event(view.Invitation, view.StoredState, ""))
}
