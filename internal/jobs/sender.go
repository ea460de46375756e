package jobs

import (
	"context"
	"errors"
	"sync"
	"time"

	"invited/internal/identity"
	"invited/internal/invitation"
	"invited/internal/mail"
	"invited/internal/webhook"
)

// sender renders messages and sends them.
type sender struct {
	renderer     *mail.Renderer
	transport    mail.Transport
	webhook      *webhook.Client // nil: every message is a mail
	mails        MailSettings
	clock        *clock
	mailRoute    route
	webhookRoute route
	stopping     sync.Once

	eventsWebhook *webhook.Client // nil: no event is sent
	eventsRoute   route
}

// route is the way to the mail server or to the webhook.
type route struct {
	circuit
	*pace
}

// trouble returns what the operator has to know about the route. It is empty when there is nothing.
func (r *route) trouble() string {
	if trouble := r.circuit.trouble(); trouble != "" {
		return trouble
	}
	return r.pace.trouble()
}

// do calls send, unless the last message was blocked a moment ago, and learns from its end. Whoever calls do has waited for
// the route's pace.
func (r *route) do(send func() error) error {
	began := time.Now()
	err := r.circuit.do(send)
	if errors.As(err, new(errCircuitOpen)) {
		r.giveBack(began)
		return err
	}
	r.done(began, err)
	return err
}

// send sends a message by mail or webhook. A mail is dated at requested, when its job was enqueued, so that a second
// attempt is the same mail. A panic is returned as an error: it must not leave the invitation in the state Processing.
func (s *sender) send(ctx context.Context, m *invitation.Message, requested time.Time) (err error) {
	defer recoverAsError(&err)
	if m.Webhook && s.webhook != nil {
		return s.webhookRoute.do(func() error { return s.webhook.Send(ctx, m.ID, s.clock.NowUTC(), payload(m)) })
	}
	rendered, err := Render(s.renderer, s.mails, m, requested)
	if err != nil {
		return err
	}
	return s.mailRoute.do(func() error { return s.transport.Send(ctx, rendered) })
}

// MailSettings are what the operator decides about all mails.
type MailSettings struct {
	Host           string // the right side of Message-IDs
	ReplyToInviter bool   // replies to a mail about an invitation go to its inviter, or to who asks for a new one
	ReplyTo        string // where replies go otherwise: one address, with or without a display name; "" for the sender
}

// replyTo returns where replies to a message go: to the inviter, or to who asks for a new invitation. Nobody is asked to reply
// to themselves, and a mail about the requests of several people has nobody to reply to.
func (s MailSettings) replyTo(m *invitation.Message) string {
	if !s.ReplyToInviter {
		return s.ReplyTo
	}
	to := m.Invitation.CreatedBy
	if m.Notice == invitation.NoticeRenewalAsked {
		to = m.Asker
	}
	if to != nil && to.IsActive && to.Email != m.To && len(m.Requests) <= 1 {
		return to.Email
	}
	return ""
}

// Render returns the mail of a message as the workers send it. The errors are those of mail.Renderer.Render.
func Render(renderer *mail.Renderer, s MailSettings, m *invitation.Message, date time.Time) (mail.Message, error) {
	kind := mailKinds[m.Notice]
	if len(m.Requests) > 1 {
		kind = mail.InvitationRequests
	}
	rendered, err := renderer.Render(kind, m.To, m.ID+"@"+s.Host, date, mailContent(m))
	rendered.ReplyTo = s.replyTo(m)
	return rendered, err
}

// sendCode mails a code. The mail is dated as those of send are.
func (s *sender) sendCode(ctx context.Context, job identity.SendCode, m *identity.CodeMessage, requested time.Time) error {
	rendered, err := s.renderer.Render(mail.SignInCode, m.To, job.Request.String()+"@"+s.mails.Host, requested,
		mail.Invitation{Email: m.To, Code: m.Code, Expires: m.Ends})
	if err != nil {
		return err
	}
	rendered.ReplyTo = s.mails.ReplyTo
	return s.mailRoute.do(func() error { return s.transport.Send(ctx, rendered) })
}

// route returns the way that messages take.
func (s *sender) route(byWebhook bool) *route {
	if byWebhook && s.webhook != nil {
		return &s.webhookRoute
	}
	return &s.mailRoute
}

// stop ends all waiting for a route.
func (s *sender) stop() {
	s.stopping.Do(func() {
		close(s.mailRoute.stopping)
		close(s.webhookRoute.stopping)
		close(s.eventsRoute.stopping)
	})
}

// close closes idle connections.
func (s *sender) close() {
	s.transport.Close()
	if s.webhook != nil {
		s.webhook.Close()
	}
	if s.eventsWebhook != nil {
		s.eventsWebhook.Close()
	}
}

// mailKinds maps each notice to its mail. The empty notice is the invitation itself.
var mailKinds = map[invitation.Notice]mail.Kind{
	"":                         mail.InvitationCreated,
	invitation.NoticeRequested: mail.InvitationRequested,
	invitation.NoticeRejected:  mail.InvitationRejected,
	invitation.NoticeExpired:   mail.InvitationExpired,
	invitation.NoticeRefused:   mail.InvitationRefused,
	invitation.NoticeReminder:  mail.InvitationCreated,
	invitation.NoticeDeclined:  mail.InvitationDeclined,

	invitation.NoticeScopeRemoved:  mail.InvitationScopeRemoved,
	invitation.NoticeUndeliverable: mail.InvitationUndeliverable,
	invitation.NoticeAccepted:      mail.InvitationAccepted,
	invitation.NoticeRenewalAsked:  mail.InvitationRenewalAsked,
}

func mailContent(m *invitation.Message) mail.Invitation {
	out := describe(m.Invitation)
	out.Link, out.Expires, out.Reminder = m.Link, m.Invitation.Expires, m.Notice == invitation.NoticeReminder
	if by := m.Invitation.CreatedBy; out.Reminder && by != nil && by.FullName == "" && by.Email != "" {
		out.Inviter = by.Email
	}
	out.Reason, out.ToStaff = m.Reason, m.ToStaff
	out.Undelivered, out.AcceptedBy = m.Undelivered, m.AcceptedBy
	if m.Asker != nil {
		out.Asker = m.Asker.DisplayName()
		if m.Asker.Email != out.Asker {
			out.AskerEmail = m.Asker.Email
		}
	}
	if m.Notice != invitation.NoticeRequested {
		return out
	}
	out.Expires, out.More = m.LinksEnd, m.More
	for _, each := range m.Requests {
		request := describe(each.Invitation)
		request.Expires, request.ApproveLink, request.RejectLink = m.LinksEnd, each.ApproveLink, each.RejectLink
		out.Requests = append(out.Requests, request)
	}
	if len(m.Requests) == 1 {
		out.ApproveLink, out.RejectLink = m.Requests[0].ApproveLink, m.Requests[0].RejectLink
	}
	return out
}

// describe returns what every mail says of an invitation.
func describe(v invitation.View) mail.Invitation {
	out := mail.Invitation{
		Email:           v.Email,
		ScopeName:       v.Scope.Name,
		ScopeType:       string(v.Scope.Type),
		RoleName:        v.Role.Name,
		RoleDescription: v.Role.Description,
		ExtraText:       v.ExtraInvitationText,
	}
	if v.CreatedBy != nil {
		out.Inviter = v.CreatedBy.DisplayName()
	}
	if v.MembershipExpires != nil {
		out.RoleEnds = *v.MembershipExpires
	}
	if v.Scope.UUID != v.CustomerUUID {
		out.CustomerName = v.Scope.Customer.Name
	}
	return out
}

func payload(m *invitation.Message) webhook.Payload {
	v := m.Invitation
	out := webhook.Payload{
		Email:               v.Email,
		RoleName:            v.Role.Name,
		RoleDescription:     v.Role.Description,
		ScopeType:           string(v.Scope.Type),
		ScopeName:           v.Scope.Name,
		ScopeUUID:           v.Scope.UUID.String(),
		ExtraInvitationText: v.ExtraInvitationText,
		Expires:             webhook.Time(v.Expires),
		RedirectScopeURL:    m.ScopeLink,
		RedirectURL:         m.Link,
		InvitationUUID:      v.UUID.String(),
		MembershipExpires:   (*webhook.Time)(v.MembershipExpires),
	}
	if v.CreatedBy != nil {
		out.CreatedByFullName, out.CreatedByUsername = v.CreatedBy.FullName, v.CreatedBy.Username
	}
	return out
}
