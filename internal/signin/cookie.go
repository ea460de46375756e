package signin

// SessionCookie is the kind of the cookie that holds the secret of a session.
const SessionCookie = ""

// CookieName returns the name of the cookie of a kind, which is a suffix. The prefix __Host- makes browsers refuse a cookie
// that another host or a connection without TLS has set (RFC 6265bis, section 4.1.3.2). isSecure: browsers reach the server by
// https.
func CookieName(kind string, isSecure bool) string {
	if isSecure {
		return "__Host-invited" + kind
	}
	return "invited" + kind
}
