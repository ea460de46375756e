package web

import (
	"net/http"
	"time"

	"invited/internal/fault"
	"invited/internal/signin"
)

// returnLifetime is how long a person may take to sign out at an issuer.
const returnLifetime = 15 * time.Minute

// begin sends the browser to an issuer, and keeps the attempt in the browser.
func (p *pages) begin(r *request) error {
	attempt, to, err := p.Providers.Begin(r.Context(), r.PathValue("issuer"), signin.Attempt{ReturnTo: r.returnTo()})
	if fault.Is(err, fault.KindUnavailable) {
		return r.refuseSignIn(r.PathValue("issuer"), "", http.StatusServiceUnavailable,
			"It can’t be reached at the moment. Try again later, or choose another way.", err)
	} else if err != nil {
		return err
	}
	if err := signin.KeepAttempt(r.w, attempt, p.isSecure()); err != nil {
		return err
	}
	http.Redirect(r.w, r.Request, to, http.StatusSeeOther)
	return nil
}

// comeBack signs the person in who comes back from an issuer.
func (p *pages) comeBack(r *request) error {
	attempt := signin.TakeAttempt(r.w, r.Request, signin.PagesAttempt, p.isSecure())
	returnTo := localOr(attempt.ReturnTo, "/")
	issuer := r.PathValue("issuer")
	session, err := p.Providers.SignIn(r.Context(), p.Identity, issuer, attempt, r.URL.Query(), p.ClientIP(r.Request))
	if err == nil {
		return r.startSession(session, returnTo)
	}
	text := signin.Explain(err)
	switch {
	case text == "":
		return err
	case fault.Is(err, fault.KindForbidden), fault.Is(err, fault.KindUnauthenticated): // the log has them
		return r.refuseSignIn(issuer, returnTo, http.StatusForbidden, text, nil)
	case fault.Is(err, fault.KindRejected):
		return r.refuseSignIn(issuer, returnTo, http.StatusBadRequest, text, err)
	default:
		return r.refuseSignIn(issuer, returnTo, http.StatusServiceUnavailable, text, err)
	}
}

// failedSignIn is the content of the page of a person who is not signed in.
type failedSignIn struct{ Text, ReturnTo, Hint string }

// refuseSignIn answers with the page of a person who is not signed in. err is for the log; nil where the log has it.
func (r *request) refuseSignIn(issuer, returnTo string, status int, text string, err error) error {
	if err != nil {
		r.page.Logger.WarnContext(r.Context(), "sign-in failed", "issuer", issuer, "client", r.page.ClientIP(r.Request), "error", err)
	}
	if returnTo == "" {
		returnTo = r.returnTo()
	}
	page := failedSignIn{Text: text, ReturnTo: returnTo}
	if status == http.StatusForbidden {
		page.Hint = r.page.whoSignsIn(returnTo)
	}
	return r.render(status, "refused", "You are not signed in", page)
}

// endIssuerSession answers with a page that goes on to the issuer that the session began with, whose own session ends there.
// It is no redirect: the policy of form-action forbids a form to lead to another site, by a redirect too.
func (r *request) endIssuerSession(to, name string) error {
	r.setCookie(returnCookie, r.returnTo(), returnLifetime)
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
