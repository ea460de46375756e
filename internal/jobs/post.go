package jobs

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
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
	clock         *clock
	mail, webhook *route
}

// send hands a letter over, dated when it was asked for: a second attempt is the same mail. The error is what the
// transport or the webhook says of it. A panic is an error too: the row must not stay Processing for it.
func (p *post) send(ctx context.Context, l *invitation.Letter, asked time.Time) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("panic while sending: %v\n%s", value, debug.Stack())
		}
	}()
	if l.Webhook && p.Webhook != nil {
		return p.webhook.use(func() error { return p.Webhook.Send(ctx, l.ID, p.clock.NowUTC(), payload(l)) })
	}
	message, err := p.Renderer.Render(kinds[l.Notice], l.To, l.ID+"@"+p.MailHost, asked, content(l))
	if err != nil {
		return err
	}
	return p.mail.use(func() error { return p.Transport.Send(ctx, message) })
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
func content(l *invitation.Letter) mail.Invitation {
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
func payload(l *invitation.Letter) webhook.Payload {
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
	case errors.Is(err, errHeld):
		logger.DebugContext(ctx, "not delivered, and tried again later") // the attempt that found the trouble was loud
	case !errors.As(err, &f):
		logger.ErrorContext(ctx, "not delivered, and tried again later")
	case f.Operator:
		logger.ErrorContext(ctx, "nothing is delivered until the operator mends this")
	case f.Final:
		logger.WarnContext(ctx, "refused, and not tried again until somebody sends it anew")
	default:
		logger.WarnContext(ctx, "not delivered, and tried again later")
	}
}

// holdTime is how long a way out that is blocked is left alone after each attempt at it: thousands of letters that wait
// must not be as many refused logins.
const holdTime = 10 * time.Second

// errHeld is in the chain of a failure that was told from an earlier one.
var errHeld = errors.New("not tried again so soon")

// heldPause is when a letter that was held comes again, up to twice that: it is no attempt, and its pauses don't grow.
const heldPause = time.Minute

// route is a way out, and what is wrong with it.
type route struct {
	mu      sync.Mutex
	trouble *delivery.Failure // only the operator can mend it; nil: none since the last letter that got through
	held    time.Time         // until when nothing is tried
}

// use sends something, or fails at once with what is wrong.
func (r *route) use(send func() error) error {
	r.mu.Lock()
	if trouble := r.trouble; trouble != nil && time.Now().Before(r.held) {
		r.mu.Unlock()
		return &delivery.Failure{Reason: trouble.Reason, Operator: true, Err: errHeld}
	}
	r.mu.Unlock()

	err := send()

	r.mu.Lock()
	defer r.mu.Unlock()
	var f *delivery.Failure
	switch {
	case err == nil, errors.As(err, &f) && f.Final: // refused or not, it was dealt with
		r.trouble = nil
	case f != nil && f.Operator:
		r.trouble = f
		if f.Blocked {
			r.held = time.Now().Add(holdTime)
		}
	}
	return err
}

// inTrouble is what is wrong, in words; empty where nothing is.
func (r *route) inTrouble() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.trouble == nil {
		return ""
	}
	return r.trouble.Reason
}
