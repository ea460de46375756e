package invitation

import (
	"context"

	"github.com/google/uuid"

	"invited/internal/directory"
)

// MayOffer reports whether a caller may invite into a scope with a role. The role has its permissions.
func (s *Service) MayOffer(caller directory.Actor, role directory.Role, scope directory.Scope) bool {
	return role.IsActive && role.ScopeType == scope.Type && s.Policy.mayOffer(caller, role.Permissions, scope)
}

// Preview returns the message to the invitee that would follow from a draft, with a link that leads nowhere. It writes
// nothing. Preview returns the errors of Create that are about the scope and the role, and looks neither for duplicates nor at
// limits.
func (s *Service) Preview(ctx context.Context, caller directory.Actor, d Draft) (out *Message, err error) {
	err = s.Store.Read(ctx, func(tx Tx) error {
		actor, err := directory.Refresh(tx.FindActor, caller)
		if err != nil {
			return err
		}
		scope, role, err := s.findTarget(tx, actor, d)
		if err != nil {
			return err
		}
		if err := s.checkCeiling(tx, actor, role.UUID, scope); err != nil {
			return err
		}
		made := s.Policy.newInvitation(d, scope, role, actor.User, tx.Now())
		made.UUID, made.LinkUUID = uuid.Nil, nil
		out = &Message{
			To: made.Email, ID: "preview", Invitation: s.view(tx, made), Link: s.acceptLink(made), ScopeLink: s.scopeLink(scope),
			Webhook: s.Policy.byWebhook(scope),
		}
		return nil
	})
	return out, err
}
