package signin

import (
	"net/url"

	"github.com/google/uuid"
)

// Mail is the name of signing in by a code in a mail, where issuers have their ID. No issuer has this ID.
const Mail = "mail"

// MailCompleted is where the page that signs people in sends the browser of somebody who signs in for a front end. No page is
// there: the browser goes on to the front end.
const MailCompleted = "/api-auth/" + Mail + "/complete/"

// FrontEndCompleted returns where the browser of a person goes who signed in for a front end. base is the front end's URL,
// ending in a slash; provider is the ID of an issuer, or Mail; echo is that of the Attempt. The paths are those of Waldur's
// front end.
func FrontEndCompleted(base, provider string, code uuid.UUID, echo string) string {
	query := url.Values{"code": {code.String()}}
	if echo != "" {
		query.Set("state", echo)
	}
	return base + "oauth_login_completed/" + provider + "/?" + query.Encode()
}

// FrontEndFailed returns where the browser of a person goes who could not sign in for a front end, with the reason in words.
func FrontEndFailed(base, reason string) string {
	return base + "login_failed/?" + url.Values{"message": {reason}}.Encode()
}
