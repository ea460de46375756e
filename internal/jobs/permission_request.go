package jobs

import (
	"context"

	"invited/internal/invitation"
	"invited/internal/joining"
	"invited/internal/mail"
)

// permissionRequestKinds maps each notice about a request to its mail.
var permissionRequestKinds = map[joining.Notice]mail.Kind{
	joining.NoticeSubmitted: mail.PermissionRequestSubmitted,
	joining.NoticeRejected:  mail.PermissionRequestRejected,
}

// notifyPermissionRequest sends a notice about permission requests, and records the outcome.
func (w *Workers) notifyPermissionRequest(ctx context.Context, a attempt, job joining.Notify) jobResult {
	message, wait, err := w.config.Joining.BeginNotice(ctx, job)
	if err != nil || message == nil {
		return jobResult{err: err, retryAfter: wait}
	}
	_, isGathered := job.RequestNotice()
	return w.sendNotice(ctx, a, isGathered,
		func(a attempt) error { return w.sender.sendPermissionRequest(ctx, message, a) },
		func(ctx context.Context, o invitation.Outcome) error {
			return w.config.Joining.FinishNotice(ctx, job, message, o)
		})
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

// permissionRequestContent returns what a mail about requests says. The requests of a mail share its link, unless they are of
// several organizations, which have a page each.
func permissionRequestContent(m *joining.Message) mail.Invitation {
	out := describePermissionRequest(m.Requests[0])
	out.Email, out.More = m.To, m.More
	if m.Notice == joining.NoticeRejected {
		out.Reason = m.Requests[0].ReviewComment
		return out
	}
	out.Link = m.Link(m.Requests[0])
	for _, r := range m.Requests {
		each := describePermissionRequest(r)
		each.Email, each.Link = m.To, m.Link(r)
		out.Requests = append(out.Requests, each)
		if each.Link != out.Requests[0].Link {
			out.Link = ""
		}
	}
	return out
}

// describePermissionRequest returns what a request asks for. The role is that which an approval grants.
func describePermissionRequest(r joining.Request) mail.Invitation {
	role, by := r.Group.Granted(), r.CreatedBy
	out := mail.Invitation{
		ScopeName: r.Group.Scope.Name, ScopeType: string(r.Group.Scope.Type),
		RoleName: role.Name, RoleDescription: role.Description, Asker: by.DisplayName(),
	}
	if by.Email != out.Asker {
		out.AskerEmail = by.Email
	}
	if r.Group.ScopeUUID != r.Group.CustomerUUID {
		out.CustomerName = r.Group.Scope.Customer.Name
	}
	if r.Group.MakesProjects {
		out.ProjectName = r.GrantedProject()
	}
	return out
}
