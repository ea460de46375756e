package jobs

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/riverqueue/river/rivertype"

	"invited/internal/delivery"
	"invited/internal/invitation"
	"invited/internal/mail"
	"invited/internal/webhook"
)

// post renders letters and sends them.
type post struct {
	Config
	clock                   *clock
	mailRoute, webhookRoute route
}

// send hands a letter over, dated when it was asked for: a second attempt is the same mail. The error is what the
// transport or the webhook says of it. A panic is an error too: the row must not stay Processing for it.
func (p *post) send(ctx context.Context, l *invitation.Message, asked time.Time) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("panic while sending: %v\n%s", value, debug.Stack())
		}
	}()
	if l.Webhook && p.Webhook != nil {
		return p.webhookRoute.use(func() error { return p.Webhook.Send(ctx, l.ID, p.clock.NowUTC(), payload(l)) })
	}
	message, err := p.Renderer.Render(kinds[l.Notice], l.To, l.ID+"@"+p.MailHost, asked, content(l))
	if err != nil {
		return err
	}
	return p.mailRoute.use(func() error { return p.Transport.Send(ctx, message) })
}

// kinds names the mail of each notice; the empty one is the invitation itself.
var kinds = map[invitation.Notice]mail.Kind{
	"":                         mail.InvitationCreated,
	invitation.NoticeRequested: mail.InvitationRequested,
	invitation.NoticeRejected:  mail.InvitationRejected,
	invitation.NoticeExpired:   mail.InvitationExpired,
	invitation.NoticeReminder:  mail.InvitationCreated,
}

// content is what a mail says.
func content(l *invitation.Message) mail.Invitation {
	v := l.Invitation
	out := mail.Invitation{
		Email:           v.Email,
		ScopeName:       v.Scope.Name,
		ScopeType:       string(v.Scope.Type),
		RoleName:        v.Role.Name,
		RoleDescription: v.Role.Description,
		ExtraText:       v.ExtraInvitationText,
		Link:            l.Link,
		ApproveLink:     l.ApproveLink,
		RejectLink:      l.RejectLink,
		Expires:         v.Expires,
		Reminder:        l.Notice == invitation.NoticeReminder,
	}
	if l.Notice == invitation.NoticeRequested {
		out.Expires = l.LinksEnd
	}
	if v.CreatedBy != nil {
		out.Inviter = v.CreatedBy.DisplayName()
		if out.Reminder && v.CreatedBy.FullName == "" && v.CreatedBy.Email != "" {
			out.Inviter = v.CreatedBy.Email
		}
	}
	if v.Scope.UUID != v.CustomerUUID {
		out.CustomerName = v.Scope.Customer.Name
	}
	return out
}

// payload is what the webhook is told.
func payload(l *invitation.Message) webhook.Payload {
	v := l.Invitation
	out := webhook.Payload{
		Email:               v.Email,
		RoleName:            v.Role.Name,
		RoleDescription:     v.Role.Description,
		ScopeType:           string(v.Scope.Type),
		ScopeName:           v.Scope.Name,
		ScopeUUID:           v.Scope.UUID.String(),
		ExtraInvitationText: v.ExtraInvitationText,
		Expires:             webhook.Time(v.Expires),
		RedirectScopeURL:    l.ScopeLink,
		RedirectURL:         l.Link,
		InvitationUUID:      v.UUID.String(),
	}
	if v.CreatedBy != nil {
		out.CreatedByFullName, out.CreatedByUsername = v.CreatedBy.FullName, v.CreatedBy.Username
	}
	return out
}

// failure says of an error why and whether for good. One that was not explained may pass.
func failure(err error) (reason string, final bool) {
	var f *delivery.Failure
	switch {
	case !errors.As(err, &f):
		return "The invitation could not be sent because of an internal error. It is tried again by itself.", false
	case f.Final:
		return f.Reason, true
	default:
		return f.Reason + " It is tried again by itself.", false
	}
}

// log says once of a letter that did not go out, as loud as somebody has to act on it.
func (p *post) log(ctx context.Context, job *rivertype.JobRow, err error) {
	logger := p.Logger.With("kind", job.Kind, "args", string(job.EncodedArgs), "attempt", job.Attempt, "error", err)
	var f *delivery.Failure
	switch {
	case errors.As(err, new(heldBack)):
		logger.DebugContext(ctx, "not delivered, and tried again later") // the attempt that found the trouble was loud
	case !errors.As(err, &f):
		logger.ErrorContext(ctx, "not delivered, and tried again later")
	case f.Blocked:
		logger.ErrorContext(ctx, "nothing is delivered this way until the operator mends it")
	case f.Operator:
		logger.ErrorContext(ctx, "not delivered until the operator mends it")
	case f.Final:
		logger.WarnContext(ctx, "refused, and not tried again until somebody sends it anew")
	default:
		logger.WarnContext(ctx, "not delivered, and tried again later")
	}
}
