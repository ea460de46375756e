package invitation

import (
	"context"

	"github.com/google/uuid"

	"invited/internal/directory"
)

// Link is the link of an invitation that its invitee is mailed.
type Link struct {
	UUID uuid.UUID // in the link
	URL  string
}

// Link returns the link of an invitation that the caller sees in the list and may manage; fault.KindNotFound otherwise, and
// where the caller may not offer the invitation's role (see Policy.RoleCeiling): whoever has the link may be able to accept.
func (s *Service) Link(ctx context.Context, caller directory.Actor, id uuid.UUID) (out Link, err error) {
	err = s.Store.Read(ctx, func(tx Tx) error {
		view, err := s.findManaged(tx, caller, id, tx.Find)
		if err != nil {
			return err
		}
		out = Link{UUID: view.link(), URL: s.acceptLink(view.Invitation)}
		return s.checkCeiling(tx, caller, view.RoleUUID, view.Scope)
	})
	if err != nil {
		return Link{}, err
	}
	return out, nil
}

// link returns the uuid in the invitee's link.
func (i Invitation) link() uuid.UUID {
	if i.LinkUUID != nil {
		return *i.LinkUUID
	}
	return i.UUID
}
