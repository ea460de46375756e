package invitation

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/token"
)

// Message is a mail or a webhook call about an invitation. Package jobs renders and sends it.
type Message struct {
	Notice     Notice // empty: the invitation itself, to its invitee
	To         string // address
	ID         string // the same for every attempt at one delivery, and different for every other delivery
	Invitation View
	Link       string
	ScopeLink  string    // where people see the scope
	Webhook    bool      // the message goes to the webhook rather than by mail
	Requests   []Request // of a NoticeRequested only, as are the next two: one, or more where they were gathered
	More       int       // requests that follow in later mails
	LinksEnd   time.Time // when the links of the requests stop working
	// Reason is why staff rejected, why the invitee declined, or why the invitation did not reach the invitee; empty: nobody
	// said.
	Reason string
	// Undelivered says that the invitation of a NoticeExpired never reached its invitee.
	Undelivered bool
	AcceptedBy  string // who accepted, of a NoticeAccepted
	Withheld    string // why the message is not to be sent; empty: it is
	// Asker is the user who asked for a NoticeRenewalAsked, and ToStaff says that it does not go to the inviter.
	Asker   *directory.User
	ToStaff bool
}

// Request is an invitation that a staff user is asked to approve or to reject.
type Request struct {
	Invitation  View
	ApproveLink string
	RejectLink  string
}

// Outcome is how an attempt to hand a message over ended. The zero value is success.
type Outcome struct {
	Failed bool
	Final  bool   // a failure is not tried again
	Reason string // in words that the people who manage the invitation can act on
}

// apply returns an invitation whose delivery ended with the outcome.
func (o Outcome) apply(i Invitation) Invitation {
	i.ExecutionState, i.ErrorMessage = OK, ""
	if o.Failed {
		i.ExecutionState, i.ErrorMessage = Erred, o.Reason
	}
	return i
}

// BeginDelivery records that a delivery is being made and returns its message; nil where there is nothing to send.
func (s *Service) BeginDelivery(ctx context.Context, job Deliver) (*Message, error) {
	var out *Message
	err := s.changeAdmitting(ctx, func(tx Tx, admits admitter) ([]Change, error) {
		out = nil
		found, err := tx.FindForChange(job.Invitation)
		if fault.Is(err, fault.KindNotFound) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		seen := s.view(tx, found)
		var obstacle Refusal
		if seen.awaits(job) {
			if obstacle, err = s.findObstacle(tx, admits, seen); err != nil {
				return nil, err
			}
		}
		begun, send := s.Policy.beginDelivery(seen, job, obstacle)
		if !send {
			return []Change{begun}, nil
		}
		if s.Policy.CreateMissingUser {
			known, err := tx.HasUser(found.EmailFolded)
			if err != nil {
				return nil, err
			}
			if !known {
				begun.User = newUser(found, tx.Now())
			}
		}
		view, err := s.viewFromInviter(tx, *begun.After)
		if err != nil {
			return nil, err
		}
		out = &Message{
			To:         begun.After.Email,
			ID:         fmt.Sprintf("%s.%d", begun.After.UUID, begun.After.Delivery),
			Invitation: view,
			Link:       s.acceptLink(*begun.After),
			ScopeLink:  s.scopeLink(begun.After.Scope),
			Webhook:    s.Policy.byWebhook(begun.After.Scope),
		}
		return []Change{begun}, nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// newUser is the user record of an invitee whom nobody knows.
func newUser(i Invitation, now time.Time) *directory.User {
	return &directory.User{
		UUID: uuid.New(), Username: i.EmailFolded, FullName: i.FullName, FullNameFolded: directory.Fold(i.FullName),
		Email: i.Email, EmailFolded: i.EmailFolded, IsActive: true, NotificationsEnabled: true, Created: now,
	}
}

// FinishDelivery records how the attempt ended that BeginDelivery began with this message. Where the invitation was
// deleted or has a newer delivery since, only the event is recorded: the message may have arrived all the same.
func (s *Service) FinishDelivery(ctx context.Context, job Deliver, m *Message, o Outcome) error {
	return s.Store.Change(ctx, func(tx Tx) ([]Change, error) {
		found, err := tx.FindForChange(job.Invitation)
		if fault.Is(err, fault.KindNotFound) {
			return []Change{finishDelivery(nil, job, m, o)}, nil
		} else if err != nil {
			return nil, err
		}
		return []Change{finishDelivery(&found, job, m, o)}, nil
	})
}

// FinishNotice records how the sending of a notice ended, whatever happened to its invitation since. The failure of a
// mail about several requests that is tried again is an event of the job's own request only: the others have jobs too.
func (s *Service) FinishNotice(ctx context.Context, job Notify, m *Message, o Outcome) error {
	c := byServer(EventNotified)
	if o.Failed {
		c.event = EventNotificationFailed
	}
	c.notice = m.Notice
	if m.Withheld == "" {
		c.channel, c.recipient = ByMail, m.To
	}
	about := []View{m.Invitation}
	var done []RequestNotice
	if job.Gathered && (!o.Failed || o.Final) {
		about = nil
		for _, each := range m.Requests {
			about = append(about, each.Invitation)
			done = append(done, RequestNotice{User: job.User, Request: each.Invitation.UUID, Delivery: each.Invitation.Delivery})
		}
	}
	return s.Store.Change(ctx, func(tx Tx) ([]Change, error) {
		changes := []Change{{DoneNotices: done}}
		for _, each := range about {
			found, err := tx.Find(each.UUID)
			state := found.StoredState
			if fault.Is(err, fault.KindNotFound) {
				found = each.Invitation
			} else if err != nil {
				return nil, err
			}
			event, outcome := c, o
			if m.Notice == NoticeReminder {
				event, outcome = c.hide(found), o.hide(found)
			}
			if outcome.Failed {
				found.ErrorMessage = outcome.Reason
			}
			changes = append(changes, Change{Event: event.record(found, state, state)})
		}
		return changes, nil
	})
}

// BeginNotice returns the message of a notice, with approval links of this moment; nil where there is nothing to say
// any more: the invitation is gone or has changed since the notice was asked for, or the recipient is gone. Where the
// recipient has had a mail about requests a moment ago, or the invitee can still undo a decline, BeginNotice returns after
// what time to call it again.
func (s *Service) BeginNotice(ctx context.Context, job Notify) (out *Message, wait time.Duration, err error) {
	if job.Gathered {
		return s.beginRequests(ctx, job)
	}
	err = s.Store.Read(ctx, func(tx Tx) error {
		found, err := tx.Find(job.Invitation)
		if err != nil {
			return err
		}
		view, err := s.viewFromInviter(tx, found)
		if err != nil {
			return err
		}
		m := Message{
			Notice:     job.Notice,
			ID:         fmt.Sprintf("%s.%s.%d.%s", found.UUID, job.Notice, job.Delivery, job.User),
			Invitation: view,
			Link:       s.scopeLink(found.Scope),
			ScopeLink:  s.scopeLink(found.Scope),
		}
		if found.Delivery != job.Delivery || m.Invitation.State != noticeStates[job.Notice] {
			return nil
		}
		if found.Scope.Removed() && (job.Notice == NoticeRequested || job.Notice == NoticeReminder) {
			return nil // nobody is asked to act on a removed scope; the other notices say what happened
		}
		switch job.Notice {
		case NoticeRequested:
			staff, err := tx.FindStaff(job.User)
			if err != nil {
				return err
			}
			m.To, m.LinksEnd = staff.Email, tx.Now().Add(s.Policy.MaxAge)
			if m.Requests, err = s.requests(tx, staff, found); err != nil {
				return err
			}
		case NoticeRejected, NoticeExpired, NoticeRefused, NoticeDeclined, NoticeScopeRemoved, NoticeUndeliverable, NoticeAccepted:
			if inviter := view.CreatedBy; inviter != nil && inviter.UUID == job.User && inviter.IsActive {
				m.To = inviter.Email
			}
			if job.Notice == NoticeRejected {
				rejected, err := tx.FindEvent(found.UUID, found.Created, EventRejected)
				if err != nil && !fault.Is(err, fault.KindNotFound) {
					return err
				}
				m.Reason = rejected.Reason
			}
			if job.Notice == NoticeDeclined {
				if !found.IsDeclined() || !found.DeclinedAt.Equal(job.DeclinedAt) {
					return nil // undone
				}
				if wait = min(found.DeclinedAt.Add(UndoPeriod).Sub(tx.Now()), UndoPeriod); wait > 0 {
					return nil
				}
				m.ID += "." + strconv.FormatInt(job.DeclinedAt.UnixMicro(), 10)
				m.Reason, wait = found.DeclineReason, 0
			}
			if job.Notice == NoticeUndeliverable {
				m.Reason = found.ErrorMessage
			}
			if job.Notice == NoticeExpired && found.ExecutionState != OK {
				events, _, err := tx.ListEvents(found.UUID, directory.Window{Limit: maxDeliveryEvents})
				if err != nil {
					return err
				}
				if m.Undelivered = neverArrived(found, events); m.Undelivered {
					m.Reason = view.DeliveryError()
				}
			}
			if job.Notice == NoticeAccepted {
				accepted, err := tx.FindEvent(found.UUID, found.Created, EventAccepted)
				if err != nil {
					return err
				}
				m.AcceptedBy = cmp.Or(accepted.UserFullName, accepted.UserUsername)
			}
		case NoticeRenewalAsked:
			if err := s.fillRenewal(tx, view, job, &m); err != nil {
				return err
			}
		case NoticeReminder:
			m.To, m.Link = found.Email, s.acceptLink(found)
			if m.Withheld, err = s.reasonNotToRemind(tx, found); err != nil {
				return err
			}
		}
		if m.To != "" {
			out = &m
		}
		return nil
	})
	if fault.Is(err, fault.KindNotFound) {
		return nil, 0, nil
	}
	return out, wait, err
}

// fillRenewal completes the message that somebody asks for a new invitation. It goes to the inviter, if they are active, or
// to a user who is active staff.
func (s *Service) fillRenewal(tx Tx, v View, job Notify, m *Message) error {
	recipient, err := tx.FindActor(job.User)
	if err != nil {
		return err
	}
	asker, err := tx.FindActor(job.Asker)
	if err != nil {
		return err
	}
	m.ToStaff = v.CreatedBy == nil || v.CreatedBy.UUID != recipient.UUID
	if recipient.IsActive && (!m.ToStaff || recipient.IsStaff) {
		m.To, m.Asker = recipient.Email, &asker.User
	}
	// The invitee can ask again a day later, which is another mail.
	if v.RenewalAskedAt != nil {
		m.ID += "." + strconv.FormatInt(v.RenewalAskedAt.UnixMicro(), 10)
	}
	return nil
}

// maxDeliveryEvents is the number of events in which a delivery is looked for: an invitation has a delivery that fails for
// weeks, whose reason changes, and hardly more.
const maxDeliveryEvents = 300

// neverArrived reports whether an expired invitation that was to be delivered was not handed over to its address in the life
// that has ended. events are its events, the newest first.
func neverArrived(i Invitation, events []Event) bool {
	return !slices.ContainsFunc(events, func(e Event) bool {
		switch e.Type {
		case EventExpired: // one of the moment in which this life began ended the life before
			return e.Created.After(i.Created) && e.FromState != Pending
		case EventDelivered:
			return !e.Created.Before(i.Created) && directory.FoldEmail(e.Recipient) == i.EmailFolded
		default:
			return false
		}
	})
}

// noticeStates are the states that notices are about. An unknown notice is about no state.
var noticeStates = map[Notice]State{
	NoticeRequested: Requested,
	NoticeRejected:  Rejected,
	NoticeExpired:   Expired,
	NoticeRefused:   Pending,
	NoticeReminder:  Pending,
	NoticeDeclined:  Canceled,

	NoticeScopeRemoved:  Canceled,
	NoticeUndeliverable: Pending,
	NoticeAccepted:      Accepted,

	NoticeRenewalAsked: Expired,
}

// approvalLinks returns the links by which a staff user approves or rejects. Links are made when the mail is, and never
// stored.
func (s *Service) approvalLinks(staff directory.User, i Invitation, now time.Time) (approve, reject string) {
	a := token.Approval{Purpose: token.Approve, User: staff.UUID, Invitation: i.UUID, Issued: now}
	r := a
	r.Purpose = token.Reject
	return s.FrontendURL + "invitation_approve/" + s.Signer.Sign(a) + "/",
		s.FrontendURL + "invitation_reject/" + s.Signer.Sign(r) + "/"
}

// acceptLink returns the link by which an invitee accepts.
func (s *Service) acceptLink(i Invitation) string {
	return s.FrontendURL + "invitation/" + i.link().String() + "/"
}

// scopeLink returns where people see a scope: the project's own page, or the customer's.
func (s *Service) scopeLink(scope directory.Scope) string {
	if scope.Type == directory.Project {
		return s.FrontendURL + "projects/" + scope.UUID.String() + "/"
	}
	return s.FrontendURL + "organizations/" + scope.CustomerUUID.String() + "/"
}

// DiscardDelivery records that a delivery is not made, because an operator has dropped its job.
func (s *Service) DiscardDelivery(ctx context.Context, job Deliver) error {
	return s.Store.Change(ctx, func(tx Tx) ([]Change, error) {
		found, err := tx.FindForChange(job.Invitation)
		if fault.Is(err, fault.KindNotFound) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		return []Change{discardDelivery(found, job)}, nil
	})
}
