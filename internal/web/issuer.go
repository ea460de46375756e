package web

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"invited/internal/fault"
	"invited/internal/signin"
)

// attemptLifetime is how long a person may take at an issuer.
const attemptLifetime = 15 * time.Minute

// begin sends the browser to an issuer, and keeps the attempt in the browser.
func (p *pages) begin(r *request) error {
	attempt, to, err := p.Providers.Begin(r.Context(), r.PathValue("issuer"), r.returnTo())
	if fault.Is(err, fault.KindUnavailable) {
		return r.refuseSignIn(r.PathValue("issuer"), "", http.StatusServiceUnavailable,
			"It can’t be reached at the moment. Try again later, or choose another way.", err)
	} else if err != nil {
		return err
	}
	kept, err := json.Marshal(attempt)
	if err != nil {
		return err
	}
	r.setCookie(attemptCookie, base64.RawURLEncoding.EncodeToString(kept), attemptLifetime)
	http.Redirect(r.w, r.Request, to, http.StatusSeeOther)
	return nil
}

// attempt returns what begin has kept, and forgets it: an attempt is finished once.
func (r *request) attempt() (a signin.Attempt) {
	cookie, err := r.Cookie(r.page.cookieName(attemptCookie))
	if err != nil {
		return a
	}
	r.dropCookie(attemptCookie)
	kept, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil || json.Unmarshal(kept, &a) != nil {
		return signin.Attempt{}
	}
	return a
}

// comeBack signs the person in who comes back from an issuer.
func (p *pages) comeBack(r *request) error {
	attempt := r.attempt()
	returnTo := localOr(attempt.ReturnTo, "/")
	issuer, client := r.PathValue("issuer"), p.ClientIP(r.Request)
	person, err := p.Providers.Finish(r.Context(), issuer, attempt, r.URL.Query())
	if err == nil {
		session, user, signInErr := p.Identity.SignInPerson(r.Context(), person, client)
		if signInErr == nil {
			p.Logger.InfoContext(r.Context(), "signed in", "user", user.Username, "by", person.Issuer, "subject", person.Subject,
				"staff", user.IsStaff, "client", client)
			return r.startSession(session, returnTo)
		}
		p.Logger.WarnContext(r.Context(), "sign-in refused", "issuer", person.Issuer, "subject", person.Subject,
			"client", client, "error", signInErr)
		err = signInErr
	}
	var f *fault.Error
	switch errors.As(err, &f); {
	case f == nil || f.Kind == fault.KindNotFound:
		return err
	case f.Kind == fault.KindForbidden:
		return r.refuseSignIn(issuer, returnTo, http.StatusForbidden, f.Message, nil)
	case f.Kind == fault.KindUnauthenticated:
		return r.refuseSignIn(issuer, returnTo, http.StatusForbidden, "Your user here is inactive. Ask the people who run this site.", nil)
	case f.Kind == fault.KindRejected:
		return r.refuseSignIn(issuer, returnTo, http.StatusBadRequest, f.Message, err)
	default:
		return r.refuseSignIn(issuer, returnTo, http.StatusServiceUnavailable,
			"Something is out of reach at the moment. Nothing was changed. Begin again in a moment.", err)
	}
}

// failedSignIn is the content of the page of a person who is not signed in.
type failedSignIn struct{ Text, ReturnTo string }

// refuseSignIn answers with the page of a person who is not signed in. err is for the log; nil where the log has it.
func (r *request) refuseSignIn(issuer, returnTo string, status int, text string, err error) error {
	if err != nil {
		r.page.Logger.WarnContext(r.Context(), "sign-in failed", "issuer", issuer, "client", r.page.ClientIP(r.Request), "error", err)
	}
	if returnTo == "" {
		returnTo = r.returnTo()
	}
	return r.render(status, "refused", "You are not signed in", failedSignIn{text, returnTo})
}

// endIssuerSession answers with a page that goes on to the issuer that the session began with, whose own session ends there.
// It is no redirect: the policy of form-action forbids a form to lead to another site, by a redirect too.
func (r *request) endIssuerSession(to, name string) error {
	r.setCookie(returnCookie, r.returnTo(), attemptLifetime)
	r.w.Header().Set("Refresh", "0; url="+to)
	return r.render(http.StatusOK, "signed-out", "You are signed out", struct{ To, Name string }{to, name})
}

// signedOut sends a browser on that comes back from an issuer where it signed out.
func (p *pages) signedOut(r *request) error {
	to := "/"
	if cookie, err := r.Cookie(p.cookieName(returnCookie)); err == nil {
		to = localOr(cookie.Value, to)
		r.dropCookie(returnCookie)
	}
	return r.redirect(to)
}
