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
	// CodeLifetime is how long a code works.
	CodeLifetime = 10 * time.Minute
	maxTries     = 5
	limitPeriod  = time.Hour
	addressLimit = 5  // codes for one address in limitPeriod
	clientLimit  = 30 // codes from one client address in limitPeriod
)

// limits is the number of requests for codes that are allowed in limitPeriod, for each RequestKey.
var limits = map[RequestKey]int{ByAddress: addressLimit, ByClient: clientLimit}

// RequestCode asks for a code to be mailed to an address, and returns the secret that the browser has to keep. former is
// the secret that the browser kept before, or "": the code of that secret stops working. client is the network address that
// the request came from. RequestCode returns fault.KindInvalid for an address that no mail can be sent to, and
// fault.KindThrottled after too many requests for the address or from the client. The answer is the same whether or not
// anybody has the address.
func (s *Service) RequestCode(ctx context.Context, email, client, former string) (browser string, err error) {
	if !directory.ValidEmail(email) {
		return "", fault.Field("email", "Enter a valid email address.")
	}
	browser = token.NewSecret()
	err = s.Store.Write(ctx, func(tx Tx) error {
		r := CodeRequest{
			UUID: uuid.New(), Browser: token.Digest(browser), Email: email, EmailFolded: directory.FoldEmail(email),
			Client: ClientNetwork(client).String(), Created: tx.Now(),
		}
		// Requests for an address, and those of a client, are counted one after the other. All lock in this order.
		for _, key := range []string{"sign-in address " + r.EmailFolded, "sign-in client " + r.Client} {
			if err := tx.LockText(key); err != nil {
				return err
			}
		}
		var wait time.Duration
		for by, limit := range limits {
			oldest, err := tx.CodeRequestTime(r, by, limit)
			if err != nil {
				return err
			}
			wait = max(wait, oldest.Add(limitPeriod).Sub(tx.Now()))
		}
		if wait > 0 {
			return s.Limits.Throttled("sign_in_codes", wait)
		}
		return tx.SaveCodeRequest(r, token.Digest(former), SendCode{Request: r.UUID})
	})
	return browser, err
}

// CodeMessage is the mail with a code.
type CodeMessage struct {
	To, Code string
	Ends     time.Time // when the code stops working
}

// CodeMessage returns the mail of a request for a code; nil where there is nothing to send: nobody has the address, or the
// code does not work any more.
func (s *Service) CodeMessage(ctx context.Context, job SendCode) (out *CodeMessage, err error) {
	err = s.Store.Read(ctx, func(tx Tx) error {
		r, err := tx.FindCodeRequest(job.Request)
		if err != nil || !r.worksAt(tx.Now()) {
			return err
		}
		if _, known, err := s.findUser(tx, r.Email); err != nil || !known {
			return err
		}
		out = &CodeMessage{To: r.Email, Code: s.Signer.Code(r.UUID), Ends: r.Created.Add(CodeLifetime)}
		return nil
	})
	if fault.Is(err, fault.KindNotFound) {
		return nil, nil
	}
	return out, err
}

// worksAt reports whether the code of a request can still be entered.
func (r CodeRequest) worksAt(now time.Time) bool {
	return !r.Used && r.Tries < maxTries && now.Before(r.Created.Add(CodeLifetime))
}

// enter returns a request after a code was entered at a time, and the refusal where that code is not accepted. right: the
// code is that of the request.
func (r CodeRequest) enter(right bool, now time.Time) (CodeRequest, error) {
	if !r.worksAt(now) {
		return r, errCodeEnded()
	}
	r.Tries++
	if right {
		r.Used = true
		return r, nil
	}
	if r.Tries == maxTries {
		return r, errCodeEnded()
	}
	return r, fault.Field("code", "That is not the code. Look for the newest mail, and type its six digits.")
}

func errCodeEnded() error {
	return fault.Rejected("This code does not work any more. Ask for a new one.")
}

// RedeemCode signs a person in who enters the code that was mailed. browser is the secret that RequestCode returned.
// RedeemCode returns the secret of the session, fault.KindInvalid for a wrong code, fault.KindRejected where the code does
// not work any more, and fault.KindForbidden where the person has no user and none is made.
func (s *Service) RedeemCode(ctx context.Context, browser, code, client string) (session string, user directory.User, err error) {
	defer func() { s.NoteSignIn("code", err) }()
	var (
		refusal error
		email   string
	)
	session = token.NewSecret()
	// Whoever sends what can't be right must not wait for the database's lock, nor make others wait, nor write events.
	err = s.Store.Read(ctx, func(tx Tx) error {
		r, err := tx.FindCodeRequestOf(token.Digest(browser))
		if fault.Is(err, fault.KindNotFound) || err == nil && !r.worksAt(tx.Now()) {
			return errCodeEnded()
		}
		return err
	})
	if err != nil {
		return "", directory.User{}, err
	}
	err = s.Store.Write(ctx, func(tx Tx) error {
		refusal = nil
		r, err := tx.LockCodeRequest(token.Digest(browser))
		if fault.Is(err, fault.KindNotFound) || err == nil && !r.worksAt(tx.Now()) {
			return errCodeEnded()
		} else if err != nil {
			return err
		}
		email = r.Email
		r, refusal = r.enter(s.Signer.IsCode(r.UUID, code), tx.Now())
		if err := tx.UpdateCodeRequest(r); err != nil {
			return err
		}
		if refusal != nil { // committed, because a wrong code counts
			return tx.SaveSignInEvent(Event{Type: EventRefused, Client: client, Detail: "a wrong code for " + email})
		}
		if user, err = s.signIn(tx, email, client); err != nil {
			return err
		}
		return startSession(tx, newSession(session, user.UUID, client, tx.Now()), newEvent(EventSignedIn, user, client, "by a code in a mail"))
	})
	if err == nil {
		err = refusal
	}
	if err != nil {
		return "", directory.User{}, s.recordRefusal(ctx, Event{Client: client, Detail: "a code for " + email + ": "}, err)
	}
	return session, user, nil
}
