package web

import (
	"encoding/base64"
	"strings"
	"time"

	"invited/internal/identity"
	"invited/internal/signin"
)

// The kinds of cookie.
const (
	sessionCookie = signin.SessionCookie
	codeCookie    = "-code" // the secret of a request for a code, and the address that it was for
	returnCookie  = "-back" // where a browser goes that signs out at an issuer
)

// cookieName returns the name of a kind of cookie.
func (p *pages) cookieName(kind string) string { return signin.CookieName(kind, p.isSecure()) }

func (r *request) setCookie(kind, value string, lifetime time.Duration) {
	signin.SetCookie(r.w, kind, value, lifetime, r.page.isSecure())
}

func (r *request) dropCookie(kind string) { r.setCookie(kind, "", -time.Second) }

// setCode keeps the secret of a request for a code, and its address, in the browser.
func (r *request) setCode(secret, email string) {
	r.setCookie(codeCookie, secret+"."+base64.RawURLEncoding.EncodeToString([]byte(email)), identity.CodeLifetime)
}

// code returns what setCode has kept; empty where there is nothing.
func (r *request) code() (secret, email string) {
	cookie, err := r.Cookie(r.page.cookieName(codeCookie))
	if err != nil {
		return "", ""
	}
	secret, encoded, _ := strings.Cut(cookie.Value, ".")
	decoded, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return "", ""
	}
	return secret, string(decoded)
}
