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
	return s.writeOwn(ctx, caller, func(tx Tx) error {
		ended, err := endSessions(tx, caller, client, func(each Session) bool { return each.ID() == id })
		if err == nil && ended == 0 {
			err = fault.NotFound()
		}
		return err
	})
}

// EndOtherSessions ends all sessions of the caller but the one that is kept, those in a front end and the tokens that service
// users asked for too, and returns their number. The faults are those of EndSession.
func (s *Service) EndOtherSessions(ctx context.Context, caller directory.Actor, kept Session, client string) (ended int, err error) {
	err = s.writeOwn(ctx, caller, func(tx Tx) error {
		ended, err = endSessions(tx, caller, client, func(each Session) bool { return each.Digest != kept.Digest })
		if err != nil {
			return err
		}
		tokens, err := tx.DeleteSessionTokensOf(caller.UUID)
		if err != nil || tokens == 0 {
			return err
		}
		ended += tokens
		return tx.SaveSignInEvent(newEvent(EventSignedOut, caller.User, client, "of front ends, from another session"))
	})
	return ended, err
}

// writeOwn is Store.Write for a caller who did not come with an API token; fault.KindForbidden otherwise.
func (s *Service) writeOwn(ctx context.Context, caller directory.Actor, f func(Tx) error) error {
	if err := caller.CheckScope(directory.NoToken); err != nil {
		return err
	}
	return s.Store.Write(ctx, f)
}

// endSessions ends those of the caller's sessions that are chosen, and returns their number.
func endSessions(tx Tx, caller directory.Actor, client string, chosen func(Session) bool) (ended int, err error) {
	found, err := tx.SessionsOf(caller.UUID)
	if err != nil {
		return 0, err
	}
	for _, each := range found {
		if !chosen(each) || !each.worksAt(tx.Now()) {
			continue
		}
		if _, err := tx.DeleteSession(each.Digest); fault.Is(err, fault.KindNotFound) {
			continue // the session was ended meanwhile
		} else if err != nil {
			return 0, err
		}
		if err := tx.SaveSignInEvent(newEvent(EventSignedOut, caller.User, client, "from another session")); err != nil {
			return 0, err
		}
		ended++
	}
	return ended, nil
}
