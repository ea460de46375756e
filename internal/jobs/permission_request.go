package jobs

import (
	"context"

	"invited/internal/joining"
	"invited/internal/mail"
)

// permissionRequestKinds maps each notice about a request to its mail.
var permissionRequestKinds = map[joining.Notice]mail.Kind{
	joining.NoticeSubmitted: mail.PermissionRequestSubmitted,
	joining.NoticeRejected:  mail.PermissionRequestRejected,
}

// notifyPermissionRequest sends a notice about a permission request, and records the outcome.
func (w *Workers) notifyPermissionRequest(ctx context.Context, a attempt, job joining.Notify) jobResult {
	message, err := w.config.Joining.BeginNotice(ctx, job)
	if err != nil || message == nil {
		return jobResult{err: err}
	}
	if wait := w.sender.mailRoute.wait(ctx); wait > 0 {
		return jobResult{retryAfter: jitter(wait)}
	}
	sendErr := w.sender.sendPermissionRequest(ctx, message, a)
	if sendErr != nil {
		w.logFailure(ctx, a, sendErr)
	}
	if !isRepeated(a, sendErr) {
		if err := retryUntilDone(ctx, func(ctx context.Context) error {
			return w.config.Joining.FinishNotice(ctx, message, outcome(sendErr))
		}); err != nil {
			// The job ends all the same: a mail is not sent again because its event is missing.
			w.config.Logger.ErrorContext(ctx, "the outcome of a notice could not be recorded", "args", a.args, "error", err)
		}
	}
	return result(sendErr)
}

func (s *sender) sendPermissionRequest(ctx context.Context, m *joining.Message, a attempt) error {
	rendered, err := s.renderer.Render(
		permissionRequestKinds[m.Notice], m.To, m.ID+"@"+s.mails.Host, a.enqueued, permissionRequestContent(m))
	if err != nil {
		return err
	}
	rendered.ReplyTo = s.mails.ReplyTo
	return s.mailRoute.do(func() error { return s.transport.Send(ctx, rendered) })
}

func permissionRequestContent(m *joining.Message) mail.Invitation {
	group, by := m.Request.Group, m.Request.CreatedBy
	out := mail.Invitation{
		Email: m.To, ScopeName: group.Scope.Name, ScopeType: string(group.Scope.Type),
		RoleName: group.Role.Name, RoleDescription: group.Role.Description,
	}
	if group.ScopeUUID != group.CustomerUUID {
		out.CustomerName = group.Scope.Customer.Name
	}
	if m.Notice == joining.NoticeRejected {
		out.Reason = m.Request.ReviewComment
		return out
	}
	out.Link, out.Asker = m.Link, by.DisplayName()
	if by.Email != out.Asker {
		out.AskerEmail = by.Email
	}
	return out
}
