package identity

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
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
	case !found.IsActive || !found.Session.worksAt(found.ReadAt):
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
	secret = token.NewSecret()
	err = s.Store.Write(ctx, func(tx Tx) error {
		user, err := tx.ActiveUser(username)
		if err != nil {
			return err
		}
		return tx.SaveSession(newSession(secret, user.UUID, client, tx.Now()))
	})
	return secret, err
}

func newSession(secret string, user uuid.UUID, client string, now time.Time) Session {
	return Session{Digest: token.Digest(secret), UserUUID: user, Created: now, LastUsed: now, Client: client}
}

func errSignedOut() error { return fault.Unauthorized("You are signed out. Sign in again.") }

// SignOut ends a session.
func (s *Service) SignOut(ctx context.Context, secret string) error {
	return s.Store.Write(ctx, func(tx Tx) error { return tx.DeleteSession(token.Digest(secret)) })
}

// SignOutUser ends all sessions of the user with a username and returns their number. It returns an error that names the
// reason where there is no such user.
func (s *Service) SignOutUser(ctx context.Context, username string) (ended int, err error) {
	err = s.Store.Write(ctx, func(tx Tx) error {
		users, err := tx.FindUsers(nil, []string{username})
		switch {
		case err != nil:
			return err
		case len(users) == 0:
			return fmt.Errorf("there is no user %s", directory.Excerpt(username))
		}
		ended, err = tx.DeleteSessionsOf(users[0].UUID)
		return err
	})
	return ended, err
}

// Sweep deletes sessions and requests for codes that ended long ago.
func (s *Service) Sweep(ctx context.Context) error {
	return s.Store.Write(ctx, func(tx Tx) error { return tx.DeleteStale(tx.Now().Add(-staleAfter)) })
}
