package invitation

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/token"
)

// Service has the use cases, one method for each operation of the API and each step of a delivery. A refusal is a
// *fault.Error: beside those that a method names, fault.KindUnauthenticated where the caller was deleted or made
// inactive since they were authenticated, and fault.KindUnavailable where the database is out of reach or busy. Any
// other error is internal. Every field but Policy and Logger must be set.
type Service struct {
	Store  Store
	Policy Policy
	Signer *token.Signer // signs approval tokens
	// FrontendURL is the base of the links in mails, with a slash at its end.
	FrontendURL string
	Logger      *slog.Logger // gets what the operator has to know of; nil: nothing is logged
	Limits      fault.Limits // nil: nobody counts what is refused
	// Swept is called with what a batch of a sweep has done, and to how many invitations; nil: no calls. See Due.String.
	Swept func(done string, invitations int)
}

// Page is one page of a list.
type Page struct {
	Invitations []View
	Total       int // on all pages
	// Next is the position of the page's last invitation, where more come behind it; nil: none do. Only ListBehind sets it.
	Next *Position
}

// List returns a page of the invitations that the caller can see and the query asks for. Pages are numbered from 1 and
// have size invitations. List sets the query's Visible, cutoffs and Window. List returns fault.KindNotFound for a page
// past the end; page 1 of an empty list is empty.
func (s *Service) List(ctx context.Context, caller directory.Actor, q Query, page, size int) (out Page, err error) {
	err = s.Store.ReadList(ctx, caller.UUID, func(tx Tx) error {
		s.restrict(tx, caller, &q)
		out, err = s.page(tx, q, page, size)
		return err
	})
	return out, err
}

// Count returns the number of invitations on all pages of List.
func (s *Service) Count(ctx context.Context, caller directory.Actor, q Query) (total int, err error) {
	err = s.Store.ReadList(ctx, caller.UUID, func(tx Tx) error {
		s.restrict(tx, caller, &q)
		total, err = tx.Count(q)
		return err
	})
	return total, err
}

// Retrieve returns an invitation that the caller sees in the list; fault.KindNotFound otherwise.
func (s *Service) Retrieve(ctx context.Context, caller directory.Actor, id uuid.UUID) (out View, err error) {
	err = s.Store.Read(ctx, func(tx Tx) error {
		out, err = s.findVisible(tx, caller, id, tx.Find)
		return err
	})
	return out, err
}

// Details returns what an invitee may see before accepting. Staff and support see any invitation. Others see one that
// is pending, expired or canceled and meant for them, any into a scope in which they hold a role, and any that they may
// manage. Details returns fault.KindNotFound otherwise.
func (s *Service) Details(ctx context.Context, caller directory.Actor, id uuid.UUID) (View, error) {
	var out View
	err := s.Store.Read(ctx, func(tx Tx) error {
		found, byLink, err := resolveLink(tx, id, tx.Find)
		if err != nil {
			return err
		}
		out = s.view(tx, found)
		if !s.Policy.maySeeDetails(out, byLink, caller) {
			return fault.NotFound()
		}
		return nil
	})
	if err != nil {
		return View{}, err
	}
	return out, nil
}

// Check is the part of a pending invitation that anybody with the link may see.
type Check struct {
	Email               string
	CivilNumberRequired bool
}

// Check returns the check of a link; fault.KindNotFound where the link leads to no pending invitation, or its scope was
// removed.
func (s *Service) Check(ctx context.Context, link uuid.UUID) (Check, error) {
	var out Check
	err := s.Store.Read(ctx, func(tx Tx) error {
		found, byLink, err := resolveLink(tx, link, tx.FindForCheck)
		if err != nil {
			return err
		}
		if !byLink || s.view(tx, found).State != Pending || found.Scope.Removed() {
			return fault.NotFound()
		}
		out = Check{Email: found.Email, CivilNumberRequired: found.CivilNumber != ""}
		return nil
	})
	return out, err
}

// EventPage is one page of the events of an invitation.
type EventPage struct {
	Events []Event
	Total  int // on all pages
}

// Events returns a page of the events of an invitation that the caller sees in the list and may manage, the newest
// first. Pages are numbered from 1 and have size events. Staff read the events of every invitation, also of one that
// was deleted or whose scope was removed. Events returns fault.KindNotFound otherwise, and for a page past the end.
func (s *Service) Events(ctx context.Context, caller directory.Actor, id uuid.UUID, page, size int) (EventPage, error) {
	var out EventPage
	err := s.Store.ReadList(ctx, caller.UUID, func(tx Tx) error {
		if !caller.IsStaff {
			if _, err := s.findManaged(tx, caller, id, tx.Find); err != nil {
				return err
			}
		}
		events, total, err := directory.Paginate(page, size, func(w directory.Window) ([]Event, int, error) {
			return tx.ListEvents(id, w)
		})
		if err != nil {
			return err
		}
		if total == 0 && caller.IsStaff {
			// An invitation that is older than events may have none; an unknown one has none.
			if _, err := tx.Find(id); err != nil {
				return err
			}
		}
		out = EventPage{events, total}
		return nil
	})
	return out, err
}

// Cancel takes back a pending or project invitation that the caller sees in the list and may manage. Cancel returns
// fault.KindNotFound where they don't or may not, and fault.KindRejected in any other state.
func (s *Service) Cancel(ctx context.Context, caller directory.Actor, id uuid.UUID) error {
	return s.Store.Change(ctx, func(tx Tx) ([]Change, error) {
		actor, view, err := s.findManagedForChange(tx, caller, id)
		if err != nil {
			return nil, err
		}
		canceled, err := cancel(view, actor.User)
		return []Change{canceled}, err
	})
}

// Send delivers a pending invitation once more, or reopens an expired or canceled one. Where only staff may invite and
// the caller is not staff, a reopened invitation waits for approval. Where the project starts in the future the
// invitation waits for the start. Send returns fault.KindNotFound where the caller does not see the invitation in the
// list, may not manage it, or may not offer its role (see Policy.RoleCeiling); fault.KindRejected in any other state, and
// where Accept would refuse whoever it is for; and
// fault.KindInvalid where another invitation is open for the same address, role and scope, and fault.KindThrottled beyond a
// limit of the policy.
func (s *Service) Send(ctx context.Context, caller directory.Actor, id uuid.UUID) error {
	var unasked bool
	err := s.changeAdmitting(ctx, func(tx Tx, admits admitter) (changes []Change, err error) {
		changes, unasked, err = s.decideSend(tx, admits, caller, id)
		return changes, err
	})
	if err == nil && unasked {
		s.warnUnasked(ctx, "a request to approve an invitation")
	}
	return refuseDuplicate(err)
}

// decideSend decides about another delivery. The last change is that of the invitation. unasked: the invitation waits for
// staff, and there is nobody to tell.
func (s *Service) decideSend(
	tx Tx, admits admitter, caller directory.Actor, id uuid.UUID,
) (changes []Change, unasked bool, err error) {
	actor, view, err := s.findManagedForChange(tx, caller, id)
	if err != nil {
		return nil, false, err
	}
	if err := s.checkCeiling(tx, actor, view.RoleUUID, view.Scope); err != nil {
		return nil, false, err
	}
	var staff []directory.User
	if s.Policy.needsApproval(actor.User) {
		if staff, err = tx.ListStaffToNotify(); err != nil {
			return nil, false, err
		}
	}
	view, changes = s.Policy.recordExpiry(view, tx.Now())
	sent, err := s.Policy.send(view, actor.User, staff, tx.Now())
	if err != nil {
		return nil, false, err
	}
	offered := view
	offered.OfferedByUUID = sent.After.OfferedByUUID
	if err := s.refuseObstacle(tx, admits, offered); err != nil {
		return nil, false, err
	}
	if view.State != Pending || sent.After.EmailFolded != view.EmailFolded {
		expired, err := s.ensureNoDuplicate(tx, *sent.After)
		if err != nil {
			return nil, false, err
		}
		changes = append(changes, expired...)
	}
	return append(changes, sent), isUnasked(*sent.After, staff), s.throttle(tx, sent, actor.User)
}

// Delete removes an invitation that the caller sees in the list. Delete returns fault.KindNotFound where they don't,
// and fault.KindForbidden where they are not staff.
func (s *Service) Delete(ctx context.Context, caller directory.Actor, id uuid.UUID) error {
	return s.Store.Change(ctx, func(tx Tx) ([]Change, error) {
		actor, err := directory.Refresh(tx.FindActor, caller)
		if err != nil {
			return nil, err
		}
		view, err := s.findVisible(tx, actor, id, tx.FindForChange)
		if err != nil {
			return nil, err
		}
		if !actor.IsStaff {
			return nil, fault.Forbidden()
		}
		view, changes := s.Policy.recordExpiry(view, tx.Now())
		return append(changes, remove(view, actor.User)), nil
	})
}

// Destroy removes an invitation that the caller sees in the list and may manage; fault.KindNotFound otherwise.
func (s *Service) Destroy(ctx context.Context, caller directory.Actor, id uuid.UUID) error {
	return s.Store.Change(ctx, func(tx Tx) ([]Change, error) {
		actor, view, err := s.findManagedForChange(tx, caller, id)
		if err != nil {
			return nil, err
		}
		view, changes := s.Policy.recordExpiry(view, tx.Now())
		return append(changes, remove(view, actor.User)), nil
	})
}

// view returns an invitation with its state at the time of the transaction.
func (s *Service) view(tx Tx, i Invitation) View { return s.Policy.view(i, tx.Now()) }

// page returns a page of the invitations that a query asks for, and sets the query's Window.
func (s *Service) page(tx Tx, q Query, page, size int) (Page, error) {
	rows, total, err := directory.Paginate(page, size, func(w directory.Window) ([]Invitation, int, error) {
		q.Window = w
		return tx.List(q)
	})
	if err != nil {
		return Page{}, err
	}
	return Page{Total: total, Invitations: s.views(tx, rows)}, nil
}

// views is view for several invitations.
func (s *Service) views(tx Tx, rows []Invitation) []View {
	out := make([]View, len(rows))
	for i, row := range rows {
		out[i] = s.view(tx, row)
	}
	return out
}

// viewFromInviter is view for people, who are told who invites: CreatedBy is the inviter, nil where that user was deleted.
func (s *Service) viewFromInviter(tx Tx, i Invitation) (View, error) {
	if i.OfferedByUUID != nil {
		inviter, err := tx.FindActor(*i.OfferedByUUID)
		switch {
		case fault.Is(err, fault.KindNotFound):
			i.CreatedBy = nil
		case err != nil:
			return View{}, err
		default:
			i.CreatedBy = &inviter.User
		}
	}
	return s.view(tx, i), nil
}

// restrict sets what a caller sees in a query at the time of the transaction. A filter on a field that the policy hides
// is ignored: its answers would tell the field's value.
func (s *Service) restrict(tx Tx, caller directory.Actor, q *Query) {
	q.Visible, q.Cutoff, q.ExpiryCutoff = caller.Visibility(), s.cutoff(tx), nil
	if q.ExpiresBefore != nil {
		q.ExpiryCutoff = new(q.ExpiresBefore.Add(-s.Policy.Lifetime))
	}
	if soon := q.Cutoff.Add(q.ExpiresWithin); q.ExpiresWithin > 0 && (q.ExpiryCutoff == nil || soon.Before(*q.ExpiryCutoff)) {
		q.ExpiryCutoff = &soon
	}
	if !s.Policy.Allows("civil_number") {
		q.CivilNumber = ""
	}
	if q.Text.Part != "" {
		q.Text.HasFullName, q.Text.HasNativeName = s.Policy.Allows("full_name"), s.Policy.Allows("native_name")
	}
}

// cutoff returns the creation time of the invitations that expire at the time of the transaction; see Query.Cutoff.
func (s *Service) cutoff(tx Tx) time.Time { return tx.Now().Add(-s.Policy.Lifetime) }

// finder is a method of Tx that reads one invitation: Find, FindForChange or FindForCheck.
type finder = func(id uuid.UUID) (Invitation, error)

// findVisible returns an invitation that the actor sees in the list; fault.KindNotFound otherwise.
func (s *Service) findVisible(tx Tx, actor directory.Actor, id uuid.UUID, find finder) (View, error) {
	found, err := find(id)
	if err != nil {
		return View{}, err
	}
	view := s.view(tx, found)
	if !view.isVisible(actor.Visibility()) {
		return View{}, fault.NotFound()
	}
	return view, nil
}

// findManaged returns an invitation that the actor sees in the list and may manage; fault.KindNotFound otherwise.
func (s *Service) findManaged(tx Tx, actor directory.Actor, id uuid.UUID, find finder) (View, error) {
	view, err := s.findVisible(tx, actor, id, find)
	if err == nil && !actor.MayManage(view.Scope) {
		err = fault.NotFound()
	}
	if err != nil {
		return View{}, err
	}
	return view, nil
}

// findManagedForChange is findManaged for a change. It also returns the caller as they are in the transaction.
func (s *Service) findManagedForChange(tx Tx, caller directory.Actor, id uuid.UUID) (directory.Actor, View, error) {
	actor, err := directory.Refresh(tx.FindActor, caller)
	if err != nil {
		return actor, View{}, err
	}
	view, err := s.findManaged(tx, actor, id, tx.FindForChange)
	return actor, view, err
}

// checkCeiling returns fault.KindNotFound where Policy.RoleCeiling forbids the actor to offer a role in a scope that they
// may manage.
func (s *Service) checkCeiling(tx Tx, actor directory.Actor, role uuid.UUID, scope directory.Scope) error {
	if !s.Policy.RoleCeiling || actor.IsStaff {
		return nil
	}
	offered, err := tx.FindRole(role) // other reads have no permissions
	if err == nil && !s.Policy.mayOffer(actor, offered.Permissions, scope) {
		err = fault.NotFound()
	}
	return err
}

// resolveLink returns the invitation whose link or UUID id is, and whether id is its link. An invitation's link is its
// UUID until the address is changed. resolveLink returns fault.KindNotFound where id is neither.
func resolveLink(tx Tx, id uuid.UUID, find finder) (found Invitation, byLink bool, err error) {
	found, err = find(id)
	if !fault.Is(err, fault.KindNotFound) {
		return found, found.LinkUUID == nil, err
	}
	linked, err := tx.FindByLink(id)
	if err != nil {
		return Invitation{}, false, err
	}
	found, err = find(linked)
	if err == nil && (found.LinkUUID == nil || *found.LinkUUID != id) { // changed between the two statements
		err = fault.NotFound()
	}
	return found, true, err
}

// ensureNoDuplicate refuses to open an invitation beside another one that is open for the same address, role and scope. It
// returns the changes of findRival.
func (s *Service) ensureNoDuplicate(tx Tx, opening Invitation) ([]Change, error) {
	rival, changes, err := s.findRival(tx, opening)
	if err == nil && rival != nil {
		err = duplicate()
	}
	return changes, err
}

// findRival returns another invitation that is open for the same address, role and scope; nil: none is. Where time has ended
// the other one and its row still says open, findRival returns the change that expires the other one, which has to come first:
// the database compares stored states.
func (s *Service) findRival(tx Tx, opening Invitation) (*uuid.UUID, []Change, error) {
	found, err := tx.FindOpen(opening.EmailFolded, opening.RoleUUID, opening.ScopeUUID)
	if err == nil && found.UUID != opening.UUID && s.view(tx, found).State == Expired {
		found, err = tx.FindForChange(found.UUID) // because it is changed
	}
	switch {
	case fault.Is(err, fault.KindNotFound) || (err == nil && (found.UUID == opening.UUID || !found.StoredState.isOpen())):
		return nil, nil, nil
	case err != nil:
		return nil, nil, err
	case s.view(tx, found).State != Expired:
		return &found.UUID, nil, nil
	}
	return nil, []Change{expire(found, tx.Now())}, nil
}

// refuseDuplicate returns the client's refusal for ErrDuplicate, and any other error as it is.
func refuseDuplicate(err error) error {
	if errors.Is(err, ErrDuplicate) {
		return duplicate()
	}
	return err
}

func duplicate() error {
	return fault.Field("email", "Pending invitation already exists for this email and role.")
}

const msgOneManager = "Project already has an active project manager."

// hasManager reports whether the policy allows a project one manager, the role is the manager's, and the scope has its
// manager.
func (s *Service) hasManager(tx Tx, role directory.Role, scope uuid.UUID) (bool, error) {
	if !s.Policy.OneProjectManager || role.Name != directory.ProjectManager {
		return false, nil
	}
	return tx.HasMember(scope, directory.ProjectManager)
}
