package identity

import (
	"context"
	"time"

	"github.com/google/uuid"

	"invited/internal/fault"
	"invited/internal/token"
)

const (
	// SessionLifetime is how long a session lasts at most.
	SessionLifetime = 8 * time.Hour
	idleLifetime    = time.Hour   // without a request
	touchAfter      = time.Minute // how old Session.LastUsed may be
	staleAfter      = 24 * time.Hour
)

// worksAt reports whether a session has not ended by itself.
func (s Session) worksAt(now time.Time) bool {
	return now.Before(s.Created.Add(SessionLifetime)) && now.Before(s.LastUsed.Add(idleLifetime))
}

// Authenticate returns who is signed in with the secret of a session; fault.KindUnauthenticated where the session has
// ended, or its user is inactive.
func (s *Service) Authenticate(ctx context.Context, secret string) (SignedIn, error) {
	found, err := s.Store.FindSession(ctx, token.Digest(secret))
	switch {
	case fault.Is(err, fault.KindNotFound):
		return SignedIn{}, errSignedOut()
	case err != nil:
		return SignedIn{}, err
	case !found.IsActive || found.IsService() || !found.Session.worksAt(found.ReadAt):
		return SignedIn{}, errSignedOut()
	}
	if found.ReadAt.Sub(found.Session.LastUsed) >= touchAfter {
		err = s.Store.Write(ctx, func(tx Tx) error { return tx.TouchSession(found.Session.Digest, tx.Now()) })
	}
	return found, err
}

// SignInAs signs in as the active user with a username, without any proof, and returns the secret of the session;
// fault.KindNotFound where there is no such user. It is for demonstrations.
func (s *Service) SignInAs(ctx context.Context, username, client string) (secret string, err error) {
	defer func() { s.NoteSignIn("demo", err) }()
	secret = token.NewSecret()
	err = s.Store.Write(ctx, func(tx Tx) error {
		user, err := tx.ActiveUser(username)
		if err != nil {
			return err
		}
		return startSession(tx, newSession(secret, user.UUID, client, tx.Now()), newEvent(EventSignedIn, user, client, "in the demonstration"))
	})
	return secret, err
}

func newSession(secret string, user uuid.UUID, client string, now time.Time) Session {
	return Session{Digest: token.Digest(secret), UserUUID: user, Created: now, LastUsed: now, Client: client}
}

// startSession writes a session and the event that it began.
func startSession(tx Tx, session Session, event Event) error {
	if err := tx.SaveSession(session); err != nil {
		return err
	}
	return tx.SaveSignInEvent(event)
}

func errSignedOut() error { return fault.Unauthorized("You are signed out. Sign in again.") }

// SignOut ends a session. A session that has ended already is no error. client is the network address that the request came
// from.
func (s *Service) SignOut(ctx context.Context, secret, client string) error {
	// A secret of no session must not wait for the database's lock.
	if _, err := s.Store.FindSession(ctx, token.Digest(secret)); fault.Is(err, fault.KindNotFound) {
		return nil
	}
	return s.Store.Write(ctx, func(tx Tx) error {
		ended, err := tx.DeleteSession(token.Digest(secret))
		if fault.Is(err, fault.KindNotFound) {
			return nil
		} else if err != nil {
			return err
		}
		users, err := tx.FindUsers([]uuid.UUID{ended.UserUUID}, nil)
		if err != nil || len(users) == 0 {
			return err
		}
		return tx.SaveSignInEvent(newEvent(EventSignedOut, users[0], client, ""))
	})
}

// SignOutUser ends all sessions of the user with a username, those in a front end and the tokens that service users asked for
// too, and returns their number. It returns an error that names the reason where there is no such user.
func (s *Service) SignOutUser(ctx context.Context, username string) (ended int, err error) {
	err = s.Store.Write(ctx, func(tx Tx) error {
		user, err := findByUsername(tx, username)
		if err != nil {
			return err
		}
		if ended, err = tx.DeleteSessionsOf(user.UUID); err != nil || ended == 0 {
			return err
		}
		return tx.SaveSignInEvent(newEvent(EventSignedOut, user, "", "by the operator"))
	})
	return ended, err
}

// Sweep deletes what ended long ago: sessions, requests for codes, the tickets and tokens of front ends, the tokens that
// service users asked for, and events that are older than EventsKept.
func (s *Service) Sweep(ctx context.Context) error {
	return s.Store.Write(ctx, func(tx Tx) error {
		if err := tx.DeleteIssuedTokens(tx.Now().Add(-issuedStaleAfter)); err != nil {
			return err
		}
		if err := tx.DeleteStale(tx.Now().Add(-staleAfter)); err != nil {
			return err
		}
		return tx.DeleteSignInEvents(tx.Now().Add(-EventsKept))
	})
}
