package identity

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/token"
)

// Service has the use cases of signing in. A refusal is a *fault.Error: beside those that a method names,
// fault.KindUnavailable where the database is out of reach or busy. Every field but Limits and SignIns must be set; EventsOf,
// SignOutUser and SignInAs need the Store alone.
type Service struct {
	Store  Store
	Signer *token.Signer // computes codes
	Create CreateUsers
	// Lifetime is that of invitations: an address counts as invited until invitedFor after the invitation expired.
	Lifetime time.Duration
	Limits   fault.Limits // nil: nobody counts what is refused
	// SignIns is called with the way and the result of each try to sign in; nil: no calls. Ways are code, issuer and demo;
	// results are signed_in, refused, throttled and failed.
	SignIns func(way, result string)
}

// NoteSignIn tells SignIns of a try to sign in that returned err. Package signin calls it for issuers.
func (s *Service) NoteSignIn(way string, err error) {
	if s.SignIns == nil {
		return
	}
	var f *fault.Error
	switch {
	case err == nil:
		s.SignIns(way, "signed_in")
	case !errors.As(err, &f), f.Kind == fault.KindUnavailable:
		s.SignIns(way, "failed")
	case f.Kind == fault.KindThrottled:
		s.SignIns(way, "throttled")
	default:
		s.SignIns(way, "refused")
	}
}

// CreateUsers says for whom signing in makes a user whom the directory does not have.
type CreateUsers string

// The values of CreateUsers.
const (
	CreateInvited CreateUsers = "invited" // who has an invitation to a verified address, open or expired lately
	CreateAny     CreateUsers = "any"     // everybody
	CreateNone    CreateUsers = "none"    // nobody
)

// CodeRequest is a request for a code by mail. The code itself is not stored.
type CodeRequest struct {
	UUID        uuid.UUID `gorm:"primaryKey"` // the code is computed from it
	Browser     string    // token.Digest of the secret that the browser keeps; unique
	Email       string
	EmailFolded string // directory.FoldEmail(Email)
	Client      string // the ClientNetwork that the request came from
	Created     time.Time
	Tries       int  // the codes that were entered
	Used        bool // the code was right once, or another request of this browser replaced this one
}

// TableName implements gorm's Tabler.
func (CodeRequest) TableName() string { return "sign_in_codes" }

// Session is the stored part of a session. The secret in the cookie is not stored.
type Session struct {
	Digest   string `gorm:"primaryKey"` // token.Digest of the secret
	UserUUID uuid.UUID
	Created  time.Time
	LastUsed time.Time // to a minute
	Client   string    // the address that signed in
	Issuer   string    // the issuer that the person signed in with; "": none
}

// SignedIn is a session together with its user.
type SignedIn struct {
	Session Session
	directory.Actor
	ReadAt time.Time // when the session was read, by the database's clock
}

// KnownPerson is an issuer's person together with their user.
type KnownPerson struct {
	directory.Actor
	Identity Identity
	ReadAt   time.Time // when the person was read, by the database's clock
}

// Job is work to be done after a commit; see package jobs.
type Job interface {
	Kind() string
	Queue() string
}

// SendCode is the job that mails a code.
type SendCode struct {
	Request uuid.UUID `json:"request"`
}

// QueueSignIn is the queue of codes: people wait for them, and nothing else stands before them.
const QueueSignIn = "sign_in"

// Kind implements Job.
func (SendCode) Kind() string { return "send_sign_in_code" }

// Queue implements Job.
func (SendCode) Queue() string { return QueueSignIn }

// Store is the database as the use cases need it.
type Store interface {
	// Read runs f. Each method of Tx sees what was committed when the method was called.
	Read(ctx context.Context, f func(Tx) error) error
	// Write runs f in one transaction, which it commits where f returns nil. Nothing is left of the transaction otherwise.
	Write(ctx context.Context, f func(Tx) error) error
	// FindSession returns the session with this digest and its user with their grants; fault.KindNotFound where there is
	// none.
	FindSession(ctx context.Context, digest string) (SignedIn, error)
	// FindPerson returns an issuer's person and their user with their grants; fault.KindNotFound where there is none.
	FindPerson(ctx context.Context, issuer, subject string) (KnownPerson, error)
}

// Tx is one transaction of a Store. Methods that find one row return fault.KindNotFound where the row is missing.
type Tx interface {
	// Now is the time of the transaction, by the database's clock, in UTC and whole microseconds.
	Now() time.Time

	// LockText makes other transactions wait that lock the same text, until this transaction ends. On SQLite one transaction
	// writes at a time anyway.
	LockText(text string) error
	// CodeRequestTime returns when the nth newest request for a code was made, counted from 1, for an address (folded) or
	// from a client. The zero time: there were fewer.
	CodeRequestTime(of CodeRequest, by RequestKey, n int) (time.Time, error)
	// SaveCodeRequest writes a request and the job that mails its code, and ends the former one of the same browser.
	SaveCodeRequest(r CodeRequest, former string, job Job) error
	FindCodeRequest(id uuid.UUID) (CodeRequest, error)
	// FindCodeRequestOf returns the request of a browser (digest).
	FindCodeRequestOf(browser string) (CodeRequest, error)
	// LockCodeRequest returns the request of a browser (digest) and lets nobody else change it until the transaction ends.
	LockCodeRequest(browser string) (CodeRequest, error)
	// UpdateCodeRequest writes the tries of a request and whether it was used.
	UpdateCodeRequest(CodeRequest) error

	// UsersWithEmail returns the users with an address (folded). Service users, who sign in nowhere, are not among them.
	UsersWithEmail(email string) ([]directory.User, error)
	// FindUsers returns the users that have one of the uuids or usernames.
	FindUsers(ids []uuid.UUID, usernames []string) ([]directory.User, error)
	// ActiveUser returns the active user with a username, who is no service user.
	ActiveUser(username string) (directory.User, error)
	// WasInvited reports whether an invitation to an address (folded) waits for its invitee, now or when its project starts, or
	// waited for them when it expired, after since. lifetime is that of invitations without an end of their own.
	WasInvited(email string, since time.Time, lifetime time.Duration) (bool, error)
	// CreateUser writes a user. It reports whether the username was free; nothing is written otherwise.
	CreateUser(directory.User) (bool, error)
	// UpdateUser writes what differs between two states of a user: full name, e-mail, civil number, and whether the user
	// is staff.
	UpdateUser(before, after directory.User) error

	// FindIdentity returns an issuer's person and their user.
	FindIdentity(issuer, subject string) (Identity, directory.User, error)
	// HasIdentity reports whether a user has an identity of an issuer.
	HasIdentity(user uuid.UUID, issuer string) (bool, error)
	// SaveIdentity writes a new identity. It reports false, and writes nothing, where the person has an identity by now or
	// the user has another one of the issuer.
	SaveIdentity(Identity) (bool, error)
	// UpdateIdentity writes when an identity was used last and whether it makes its user staff.
	UpdateIdentity(Identity) error

	// LockUser returns a user and lets nobody else change the user until the transaction ends.
	LockUser(id uuid.UUID) (directory.User, error)
	// ListTokens returns a window of a user's API tokens, the newest first, and the number of all of them.
	ListTokens(user uuid.UUID, w directory.Window) ([]directory.APIToken, int, error)
	// FindToken returns one of a user's API tokens.
	FindToken(user, id uuid.UUID) (directory.APIToken, error)
	// CountOwnTokens returns the number of a user's API tokens that have not expired, without those of front ends and those that
	// service users asked for.
	CountOwnTokens(user uuid.UUID) (int, error)
	// SaveTokens inserts API tokens.
	SaveTokens([]directory.APIToken) error
	// DeleteTokens deletes the API tokens that have one of the uuids, and returns them.
	DeleteTokens(ids []uuid.UUID) ([]directory.APIToken, error)
	// DeleteIssuedTokens deletes the API tokens that service users asked for and that expired before a time.
	DeleteIssuedTokens(before time.Time) error

	SaveSession(Session) error
	// SessionsOf returns the sessions of a user, the one used last first. Some may have ended by themselves.
	SessionsOf(user uuid.UUID) ([]Session, error)
	// TouchSession sets when a session was used last.
	TouchSession(digest string, at time.Time) error
	// DeleteSession deletes a session and returns it.
	DeleteSession(digest string) (Session, error)
	// DeleteSessionsOf deletes the sessions of users and what DeleteSessionTokensOf deletes, and returns the number of sessions
	// and tokens.
	DeleteSessionsOf(users ...uuid.UUID) (int, error)
	// DeleteSessionTokensOf deletes the tickets of users, the tokens that they got by signing in for a front end, and those that
	// service users asked for. It returns the number of tokens.
	DeleteSessionTokensOf(users ...uuid.UUID) (int, error)
	// DeleteStale deletes sessions, requests for codes and tickets that are older than a time, and the tokens of people who
	// signed in for a front end that expired before it.
	DeleteStale(before time.Time) error

	// SaveSignInEvent writes an event, which is of now and of the context's request.
	SaveSignInEvent(Event) error
	// ListSignInEvents returns the newest events of a user, or of everybody where user is nil, the newest first.
	ListSignInEvents(user *uuid.UUID, limit int) ([]Event, error)
	// DeleteSignInEvents deletes the events that are older than a time.
	DeleteSignInEvents(before time.Time) error

	SaveTicket(Ticket) error
	FindTicket(digest string) (Ticket, error)
	// DeleteTicket deletes a ticket and returns it: of two transactions that delete a ticket at once, one finds it.
	DeleteTicket(digest string) (Ticket, error)
}

// RequestKey names the property by which requests for codes are counted.
type RequestKey int

// The keys.
const (
	ByAddress RequestKey = iota
	ByClient
)
