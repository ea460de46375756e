package invitation

import (
	"context"
	"fmt"
	"time"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/token"
)

// Message is what a mail about an invitation says and to whom; package jobs has it rendered and sent.
type Message struct {
	Notice      Notice // empty: the invitation itself, to its invitee
	To          string
	ID          string // the same for every attempt at one delivery, another for every other
	Invitation  View
	Link        string
	ScopeLink   string // where people see the scope
	Webhook     bool   // it goes to the webhook rather than by mail
	ApproveLink string // of a NoticeRequested only, with RejectLink
	RejectLink  string
	LinksEnd    time.Time // when they stop working
}

// Outcome is how an attempt to hand a letter over ended. The zero value is success.
type Outcome struct {
	Failed bool
	Reason string // words that the people who manage the invitation can act on
}

// BeginDelivery notes that a delivery is being made and returns its letter; nil where there is nothing to send:
// the invitation was deleted, was delivered, or has a newer delivery. An invitation that does not wait for its
// invitee any more, or whose scope was removed, is not sent, and its row says why.
func (s *Service) BeginDelivery(ctx context.Context, job Deliver) (*Message, error) {
	var out *Message
	err := s.Store.Write(ctx, func(tx Tx) error {
		found, err := tx.Lock(job.Invitation)
		if fault.Is(err, fault.KindNotFound) {
			return nil
		} else if err != nil {
			return err
		}
		if found.Delivery != job.Delivery || found.ExecutionState == OK {
			return nil
		}
		begun := found
		if reason := unsendable(s.view(found, tx.Now())); reason != "" {
			begun.ExecutionState = Erred
			failed := itself(EventDeliveryFailed)
			switch found.ExecutionState {
			case Erred: // says already why no attempt succeeded
				return nil
			case Processing: // an attempt was cut off
				begun.ErrorMessage = "The server stopped while it sent the invitation: it may have arrived or not."
				failed.channel, failed.recipient = channel(s.byWebhook(found.Scope)), found.Email
			default:
				begun.ErrorMessage = reason
			}
			return replace(tx, found, begun, failed)
		}
		if s.Policy.CreateMissingUser {
			if err := tx.EnsureUser(found.Email, found.FullName); err != nil {
				return err
			}
		}
		begun.ExecutionState = Processing
		out = &Message{
			To:         begun.Email,
			ID:         fmt.Sprintf("%s.%d", begun.UUID, begun.Delivery),
			Invitation: s.view(begun, tx.Now()),
			Link:       s.acceptLink(begun),
			ScopeLink:  s.scopeLink(begun.Scope),
			Webhook:    s.byWebhook(begun.Scope),
		}
		return tx.Mark(found, Processing)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func channel(webhook bool) Channel {
	if webhook {
		return ByWebhook
	}
	return ByMail
}

// byWebhook tells whether invitations into a scope are delivered by webhook.
func (s *Service) byWebhook(scope directory.Scope) bool {
	return s.Policy.UseWebhooks && scope.Type == directory.Project
}

// unsendable is the reason not to deliver an invitation; empty where there is none.
func unsendable(v View) string {
	switch {
	case v.Scope.Removed():
		return "Not sent: " + v.Scope.Name + " was removed. Invite into another scope."
	case v.State == Pending:
		return ""
	default:
		return fmt.Sprintf("Not sent: the invitation was %s before it could be delivered.", v.State)
	}
}

// FinishDelivery notes how the attempt ended that BeginDelivery began with this letter. Where the invitation was deleted
// or has a newer delivery meanwhile, only the event is written, for the letter may have arrived all the same. A failure
// for the same reason as that of the attempt before it is no event: there can be an attempt an hour for weeks.
func (s *Service) FinishDelivery(ctx context.Context, job Deliver, l *Message, o Outcome) error {
	c := itself(EventDelivered)
	if o.Failed {
		c.what = EventDeliveryFailed
	}
	c.channel, c.recipient = channel(l.Webhook), l.To
	return s.Store.Write(ctx, func(tx Tx) error {
		found, err := tx.Lock(job.Invitation)
		switch {
		case fault.Is(err, fault.KindNotFound):
			return tx.Record(c.event(o.of(l.Invitation.Invitation), "", ""))
		case err != nil:
			return err
		case found.Delivery != job.Delivery:
			return tx.Record(c.event(o.of(found), found.StoredState, found.StoredState))
		case found.ExecutionState != Processing: // it was noted, and the answer to that was lost
			return nil
		}
		done := o.of(found)
		if o.Failed && done.ErrorMessage == found.ErrorMessage {
			return tx.Mark(found, Erred)
		}
		return replace(tx, found, done, c)
	})
}

// of is an invitation whose delivery ended so.
func (o Outcome) of(i Invitation) Invitation {
	i.ExecutionState, i.ErrorMessage = OK, ""
	if o.Failed {
		i.ExecutionState, i.ErrorMessage = Erred, o.Reason
	}
	return i
}

// FinishNotice notes how the sending of a notice ended, whatever became of its invitation meanwhile.
func (s *Service) FinishNotice(ctx context.Context, l *Message, o Outcome) error {
	c := itself(EventNotified)
	if o.Failed {
		c.what = EventNotificationFailed
	}
	c.notice, c.channel, c.recipient = l.Notice, ByMail, l.To
	return s.Store.Write(ctx, func(tx Tx) error {
		found, err := tx.Lock(l.Invitation.UUID)
		state := found.StoredState
		if fault.Is(err, fault.KindNotFound) {
			found = l.Invitation.Invitation
		} else if err != nil {
			return err
		}
		if o.Failed {
			found.ErrorMessage = o.Reason
		}
		return tx.Record(c.event(found, state, state))
	})
}

// Message returns the letter of a notice, with approval links of the moment; nil where there is nothing to say any
// more: the invitation is gone or not what it was when the notice was asked for, or its reader is gone.
func (s *Service) BeginNotice(ctx context.Context, job Notify) (*Message, error) {
	var out *Message
	err := s.Store.Read(ctx, func(tx Tx) error {
		found, err := tx.Find(job.Invitation)
		if err != nil {
			return err
		}
		letter := Message{
			Notice:     job.Notice,
			ID:         fmt.Sprintf("%s.%s.%d.%s", found.UUID, job.Notice, job.Delivery, job.User),
			Invitation: s.view(found, tx.Now()),
			Link:       s.scopeLink(found.Scope),
			ScopeLink:  s.scopeLink(found.Scope),
		}
		if found.Delivery != job.Delivery || letter.Invitation.State != stateOf[job.Notice] {
			return nil
		}
		if found.Scope.Removed() && (job.Notice == NoticeRequested || job.Notice == NoticeReminder) {
			return nil // nobody is asked to act for what is gone; what became of it is told all the same
		}
		switch job.Notice {
		case NoticeRequested:
			staff, err := tx.Staff(job.User)
			if err != nil {
				return err
			}
			letter.To = staff.Email
			letter.ApproveLink, letter.RejectLink = s.approvalLinks(staff, found, tx.Now())
			letter.LinksEnd = tx.Now().Add(s.Policy.MaxAge)
		case NoticeRejected, NoticeExpired:
			if creator := found.CreatedBy; creator != nil && creator.UUID == job.User && creator.IsActive {
				letter.To = creator.Email
			}
		case NoticeReminder:
			letter.To, letter.Link = found.Email, s.acceptLink(found)
		}
		if letter.To != "" {
			out = &letter
		}
		return nil
	})
	if fault.Is(err, fault.KindNotFound) {
		return nil, nil
	}
	return out, err
}

// stateOf is the state that a notice is about; a notice that there is not is about none.
var stateOf = map[Notice]State{
	NoticeRequested: Requested,
	NoticeRejected:  Rejected,
	NoticeExpired:   Expired,
	NoticeReminder:  Pending,
}

// approvalLinks name a staff user; they are made when the mail is, and never stored.
func (s *Service) approvalLinks(staff directory.User, i Invitation, now time.Time) (approve, reject string) {
	a := token.Approval{Purpose: token.Approve, User: staff.UUID, Invitation: i.UUID, Issued: now}
	r := a
	r.Purpose = token.Reject
	return s.FrontendURL + "invitation_approve/" + s.Signer.Sign(a) + "/",
		s.FrontendURL + "invitation_reject/" + s.Signer.Sign(r) + "/"
}

// acceptLink is where an invitee accepts.
func (s *Service) acceptLink(i Invitation) string {
	link := i.UUID
	if i.LinkUUID != nil {
		link = *i.LinkUUID
	}
	return s.FrontendURL + "invitation/" + link.String() + "/"
}

// scopeLink is where people see a scope: its own page where it has one, else its customer's.
func (s *Service) scopeLink(scope directory.Scope) string {
	if scope.Type == directory.Project {
		return s.FrontendURL + "projects/" + scope.UUID.String() + "/"
	}
	return s.FrontendURL + "organizations/" + scope.CustomerUUID.String() + "/"
}
