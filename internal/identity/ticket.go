package identity

import (
	"context"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/token"
)

const (
	// TicketLifetime is how long a ticket works.
	TicketLifetime = time.Minute
	// signInTokenName is the name of the tokens that tickets are exchanged for.
	signInTokenName = "signed in for a front end"
)

// Ticket is the stored part of a one-time code that a front end exchanges for an API token.
type Ticket struct {
	Digest   string `gorm:"primaryKey"` // token.Digest of the code in canonical form
	UserUUID uuid.UUID
	Created  time.Time
}

// TableName implements gorm's Tabler.
func (Ticket) TableName() string { return "sign_in_tickets" }

// worksAt reports whether a ticket can still be exchanged.
func (t Ticket) worksAt(now time.Time) bool { return now.Before(t.Created.Add(TicketLifetime)) }

// HandOver ends a session that has just begun, and returns the code of a ticket for its user: the person goes on in a front
// end, and leaves no session in the browser. HandOver returns fault.KindUnauthenticated where the session has ended.
func (s *Service) HandOver(ctx context.Context, secret string) (code uuid.UUID, err error) {
	code = uuid.New()
	err = s.Store.Write(ctx, func(tx Tx) error {
		ended, err := tx.DeleteSession(token.Digest(secret))
		if fault.Is(err, fault.KindNotFound) || err == nil && !ended.worksAt(tx.Now()) {
			return errSignedOut()
		} else if err != nil {
			return err
		}
		return tx.SaveTicket(Ticket{token.Digest(code.String()), ended.UserUUID, tx.Now()})
	})
	return code, err
}

// RedeemTicket returns an API token for the code of a ticket, which works once. The token works as long as a session at most.
// client is the network address that the request came from. RedeemTicket returns fault.KindInvalid where the code does not
// work.
func (s *Service) RedeemTicket(ctx context.Context, code uuid.UUID, client string) (key string, err error) {
	digest := token.Digest(code.String())
	// Whoever guesses must not wait for the database's lock, nor make others wait.
	err = s.Store.Read(ctx, func(tx Tx) error { _, err := tx.FindTicket(digest); return err })
	if err == nil {
		key = token.NewKey()
		err = s.Store.Write(ctx, func(tx Tx) error { return redeemTicket(tx, digest, key, client) })
	}
	if fault.Is(err, fault.KindNotFound) {
		err = fault.Field("code", "This code does not work any more. Sign in again.")
	}
	if err != nil {
		return "", err
	}
	return key, nil
}

// redeemTicket exchanges a ticket for a token with a key; fault.KindNotFound where the ticket does not work.
func redeemTicket(tx Tx, digest, key, client string) error {
	ticket, err := tx.DeleteTicket(digest)
	if err != nil {
		return err
	}
	users, err := tx.FindUsers([]uuid.UUID{ticket.UserUUID}, nil)
	switch {
	case err != nil:
		return err
	case !ticket.worksAt(tx.Now()) || len(users) == 0 || !users[0].IsActive || users[0].IsService():
		return fault.NotFound()
	}
	expires := tx.Now().Add(SessionLifetime)
	err = tx.SaveTokens([]directory.APIToken{{
		Digest: token.Digest(key), UUID: uuid.New(), UserUUID: users[0].UUID, Name: signInTokenName, Created: tx.Now(),
		Expires: &expires, SignedIn: true,
	}})
	if err != nil {
		return err
	}
	return tx.SaveSignInEvent(newEvent(EventTokenCreated, users[0], client, signInTokenName))
}
