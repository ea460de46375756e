package web

import (
	"net/http"
	"net/url"
	"strings"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/identity"
	"invited/internal/signin"
)

// signInForm is the content of the page that asks for an address.
type signInForm struct {
	Email, Problem string
	ByMail         bool
	Issuers        []signin.Choice
	Hint           string // who can sign in; empty: nothing is to be said of that
}

const titleSignIn = "Sign in"

// renderSignIn answers with the page that asks for an address, or for another way to sign in.
func (r *request) renderSignIn(status int, title, email, problem string) error {
	return r.render(status, "sign-in", title, r.signInForm(email, problem))
}

func (r *request) signInForm(email, problem string) signInForm {
	return signInForm{email, problem, r.page.SignsInByMail, r.page.Providers.Choices(), r.page.whoSignsIn(r.returnTo())}
}

// askAddress is the page that asks for an address.
func (p *pages) askAddress(r *request) error {
	if r.user != nil && r.returnTo() != signin.MailCompleted { // who signs in for a front end may be somebody else
		return r.redirect(r.returnTo())
	}
	return r.renderSignIn(http.StatusOK, titleSignIn, "", "")
}

// requestCode mails a code and goes on to the page that asks for the code, whether or not anybody knows the address.
func (p *pages) requestCode(r *request) error {
	email := directory.Trim(r.PostFormValue("email"))
	former, _ := r.code()
	secret, err := p.Identity.RequestCode(r.Context(), email, p.ClientIP(r.Request), former)
	if fault.Is(err, fault.KindInvalid) {
		return r.renderSignIn(http.StatusBadRequest, titleSignIn, email, "Enter a valid e-mail address.")
	} else if err != nil {
		return err
	}
	r.setCode(secret, email)
	return r.redirectWithReturn("/sign-in/code/")
}

// redirectWithReturn is redirect, and passes on where the browser goes after signing in.
func (r *request) redirectWithReturn(path string) error {
	if to := r.returnTo(); to != "/" {
		// A query may have slashes (RFC 3986, section 3.4), and people read them better.
		path += "?return_to=" + strings.ReplaceAll(url.QueryEscape(to), "%2F", "/")
	}
	return r.redirect(path)
}

// codeForm is the content of the page that asks for a code.
type codeForm struct {
	Email, Problem string
	Hint           string // of signInForm
}

// askCode is the page that asks for the code that was mailed.
func (p *pages) askCode(r *request) error {
	secret, email := r.code()
	if secret == "" {
		return r.redirectWithReturn("/sign-in/")
	}
	return r.render(http.StatusOK, "code", "Enter the code", codeForm{email, "", p.whoSignsIn(r.returnTo())})
}

// redeemCode signs the person in.
func (p *pages) redeemCode(r *request) error {
	secret, email := r.code()
	code := strings.Join(strings.Fields(r.PostFormValue("code")), "")
	session, user, err := p.Identity.RedeemCode(r.Context(), secret, code, p.ClientIP(r.Request))
	switch {
	case fault.Is(err, fault.KindInvalid):
		return r.render(http.StatusBadRequest, "code", "Enter the code",
			codeForm{email, "That is not the code. Look for the newest mail, and type its six digits.", p.whoSignsIn(r.returnTo())})
	case fault.Is(err, fault.KindRejected):
		r.dropCookie(codeCookie)
		return r.renderSignIn(http.StatusBadRequest, titleSignIn, email, "This code does not work any more. Ask for a new one.")
	case fault.Is(err, fault.KindForbidden):
		m := message{
			"This address can’t sign in here",
			"Ask whoever invited you to send the invitation to it, or ask the people who run this site.",
		}
		return r.render(http.StatusForbidden, "message", m.Heading, m)
	case err != nil:
		return err
	}
	p.Logger.InfoContext(r.Context(), "signed in", "user", user.Username, "by", "code", "client", p.ClientIP(r.Request))
	r.dropCookie(codeCookie)
	return r.startSession(session, r.returnTo())
}

// startSession keeps the secret of a session in the browser, and sends the browser to a path. The session before ends. Whoever
// signs in for a front end goes on there, and keeps no session here.
func (r *request) startSession(secret, returnTo string) error {
	if err := r.endSession(); err != nil {
		return err
	}
	if returnTo == signin.MailCompleted {
		r.dropCookie(sessionCookie)
		return r.handOver(secret)
	}
	r.setCookie(sessionCookie, secret, identity.SessionLifetime)
	return r.redirect(returnTo)
}

// handOver sends the browser to the front end that a person has signed in for. It ends the session. The page is no redirect: the
// policy of form-action forbids a form to lead to another site, by a redirect too.
func (r *request) handOver(secret string) error {
	attempt := signin.TakeAttempt(r.w, r.Request, signin.FrontEndAttempt, r.page.isSecure())
	if attempt.Issuer != signin.Mail {
		return fault.Rejected("This sign-in was not begun in this browser, or it took too long. Go back to where you came from, and begin again.")
	}
	code, err := r.page.Identity.HandOver(r.Context(), secret)
	if err != nil {
		return err
	}
	to := signin.FrontEndCompleted(r.page.Invitations.FrontendURL, signin.Mail, code, attempt.Echo)
	r.w.Header().Set("Refresh", "0; url="+to)
	return r.render(http.StatusOK, "go-on", "You are signed in", to)
}

// endSession ends the session of the browser, if there is one.
func (r *request) endSession() error {
	cookie, err := r.Cookie(r.page.cookieName(sessionCookie))
	if err != nil {
		return nil
	}
	return r.page.Identity.SignOut(r.Context(), cookie.Value, r.page.ClientIP(r.Request))
}

// signOut ends the session, and then that of the issuer that the session began with.
func (p *pages) signOut(r *request) error {
	if err := r.endSession(); err != nil {
		return err
	}
	r.dropCookie(sessionCookie)
	if r.user != nil {
		issuer := r.user.Session.Issuer
		r.user = nil
		if to, name := p.Providers.EndSession(issuer); to != "" {
			return r.endIssuerSession(to, name)
		}
	}
	return r.redirect(r.returnTo())
}
