package signin

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"
)

// The kinds of the cookies that hold an Attempt.
const (
	PagesAttempt    = "-oidc"  // of the pages
	FrontEndAttempt = "-front" // for a front end
)

// attemptLifetime is how long a person may take at an issuer.
const attemptLifetime = 15 * time.Minute

// Attempt is a sign-in that a browser has begun. The browser keeps the attempt until it comes back from the issuer: nobody
// else can finish it.
type Attempt struct {
	Issuer   string `json:"i"`           // its ID
	State    string `json:"s"`           // goes to the issuer and back
	Nonce    string `json:"n"`           // is in the ID token
	Verifier string `json:"v"`           // of PKCE (RFC 7636)
	ReturnTo string `json:"r,omitempty"` // of PagesAttempt: where the browser goes afterwards
	FrontEnd bool   `json:"f,omitempty"` // the attempt is a FrontEndAttempt
	Echo     string `json:"e,omitempty"` // of FrontEndAttempt: the text that goes back to the front end
}

// kind returns the kind of cookie that holds an attempt.
func (a Attempt) kind() string {
	if a.FrontEnd {
		return FrontEndAttempt
	}
	return PagesAttempt
}

// KeepAttempt has the browser keep an attempt. isSecure: browsers reach the server by https.
func KeepAttempt(w http.ResponseWriter, a Attempt, isSecure bool) error {
	kept, err := json.Marshal(a)
	if err == nil {
		SetCookie(w, a.kind(), base64.RawURLEncoding.EncodeToString(kept), attemptLifetime, isSecure)
	}
	return err
}

// TakeAttempt returns the attempt that the browser keeps, and has the browser forget it: an attempt is finished once. The
// zero Attempt: the browser keeps none of the kind.
func TakeAttempt(w http.ResponseWriter, r *http.Request, kind string, isSecure bool) (a Attempt) {
	cookie, err := r.Cookie(CookieName(kind, isSecure))
	if err != nil {
		return a
	}
	SetCookie(w, kind, "", -time.Second, isSecure)
	kept, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil || json.Unmarshal(kept, &a) != nil || a.kind() != kind {
		return Attempt{}
	}
	return a
}

// SetCookie has the browser keep a value for a time, or forget it where the time is negative. No script can read the value,
// and no page of another site can have it sent but by a link.
func SetCookie(w http.ResponseWriter, kind, value string, lifetime time.Duration, isSecure bool) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // G124: without TLS, on loopback, browsers would drop a Secure cookie
		Name: CookieName(kind, isSecure), Value: value, Path: "/", MaxAge: int(lifetime.Seconds()),
		HttpOnly: true, Secure: isSecure, SameSite: http.SameSiteLaxMode,
	})
}
