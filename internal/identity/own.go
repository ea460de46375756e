package identity

import (
	"context"
	"slices"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/token"
)

// ID returns a name for the session that people send back to end it. It admits nobody, and is not what the database has.
func (s Session) ID() string { return token.Digest("session " + s.Digest)[:32] }

// Sessions returns the caller's sessions that have not ended, the one used last first. It returns fault.KindForbidden where the
// caller came with an API token.
func (s *Service) Sessions(ctx context.Context, caller directory.Actor) (found []Session, err error) {
	if err := caller.CheckScope(directory.NoToken); err != nil {
		return nil, err
	}
	err = s.Store.Read(ctx, func(tx Tx) error {
		found, err = tx.SessionsOf(caller.UUID)
		found = slices.DeleteFunc(found, func(each Session) bool { return !each.worksAt(tx.Now()) })
		return err
	})
	return found, err
}

// EndSession ends the caller's session with an ID, from the next request on. It returns fault.KindNotFound where the caller
// has no such session, and fault.KindForbidden where the caller came with an API token. client is the network address that the
// request came from.
func (s *Service) EndSession(ctx context.Context, caller directory.Actor, id, client string) error {
	ended, err := s.endSessions(ctx, caller, client, func(each Session) bool { return each.ID() == id })
	if err == nil && ended == 0 {
		err = fault.NotFound()
	}
	return err
}

// EndOtherSessions ends all sessions of the caller but the one that is kept, and returns their number. The faults are those of
// EndSession.
func (s *Service) EndOtherSessions(ctx context.Context, caller directory.Actor, kept Session, client string) (int, error) {
	return s.endSessions(ctx, caller, client, func(each Session) bool { return each.Digest != kept.Digest })
}

func (s *Service) endSessions(
	ctx context.Context, caller directory.Actor, client string, chosen func(Session) bool,
) (ended int, err error) {
	if err := caller.CheckScope(directory.NoToken); err != nil {
		return 0, err
	}
	err = s.Store.Write(ctx, func(tx Tx) error {
		ended = 0
		found, err := tx.SessionsOf(caller.UUID)
		if err != nil {
			return err
		}
		for _, each := range found {
			if !chosen(each) || !each.worksAt(tx.Now()) {
				continue
			}
			if _, err := tx.DeleteSession(each.Digest); fault.Is(err, fault.KindNotFound) {
				continue // the session was ended meanwhile
			} else if err != nil {
				return err
			}
			if err := tx.SaveSignInEvent(newEvent(EventSignedOut, caller.User, client, "from another session")); err != nil {
				return err
			}
			ended++
		}
		return nil
	})
	return ended, err
}
