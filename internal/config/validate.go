package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Whoever has an approval token can try keys against it offline. A random key of this many characters withstands that.
const (
	minSecretLength = 32
	makeSecret      = "make one with: openssl rand -base64 32"
)

// validate returns the errors of values that could be parsed. It ignores empty values, and so does not report a
// variable a second time that could not be parsed. It brings CORSOrigins into the spelling of browsers.
func (c *Config) validate() []error {
	var problems []error
	report := func(name, format string, args ...any) {
		problems = append(problems, variableError(name, format, args...))
	}

	if _, port, err := net.SplitHostPort(c.ListenAddr); err != nil || !isPort(port) {
		report("LISTEN_ADDR", "%q is not HOST:PORT, such as 127.0.0.1:8080, or :8080 for every address", c.ListenAddr)
	}
	if c.MetricsAddr != "" {
		if _, port, err := net.SplitHostPort(c.MetricsAddr); err != nil || !isPort(port) {
			report("METRICS_ADDR", "%q is not HOST:PORT, such as 127.0.0.1:9464", c.MetricsAddr)
		}
	}
	if c.DatabaseRead.Engine != "" && (c.DatabaseRead.Engine != Postgres || c.Database.Engine != Postgres) {
		report("DATABASE_READ_URL", "only a PostgreSQL server has a standby: set it beside a postgres:// URL in %sDATABASE_URL", prefix)
	}
	if c.PublicURL != nil && c.PublicURL.Fragment != "" {
		report("PUBLIC_URL", "must not contain a fragment: the server's paths are appended to the URL")
	}
	switch key := c.SecretKey; {
	case key != "" && len(key) < minSecretLength:
		report("SECRET_KEY", "shorter than %d characters; %s", minSecretLength, makeSecret)
	case strings.Contains(key.Reveal(), ","):
		report("SECRET_KEY", "contains a comma, which separates keys in %sSECRET_KEY_FALLBACKS; %s", prefix, makeSecret)
	}
	if slices.ContainsFunc(c.SecretKeyFallbacks, func(s Secret) bool { return len(s) < minSecretLength }) {
		report("SECRET_KEY_FALLBACKS", "a key is shorter than %d characters; list former values of %sSECRET_KEY, separated by commas",
			minSecretLength, prefix)
	}
	if c.SMTPURL != "" && !isSMTPURL(c.SMTPURL.Reveal()) {
		report("SMTP_URL", "not smtp://USER:PASSWORD@HOST:PORT, smtps://… or smtp+insecure://…; %s", escapeHint)
	}
	if reply := c.MailReplyTo; !slices.Contains([]string{"", ReplyToInviter, ReplyToNone}, reply) {
		if _, err := parseMailAddress(reply); err != nil {
			report("MAIL_REPLY_TO", "%q is neither inviter nor none nor an e-mail address, such as help@example.com", reply)
		}
	}
	for i, origin := range c.CORSOrigins {
		normal, err := parseOrigin(origin)
		if err != nil {
			report("CORS_ORIGINS", "%w", err)
		}
		c.CORSOrigins[i] = normal
	}
	for _, name := range c.CORSHeaders {
		if !headerName.MatchString(name) {
			report("CORS_HEADERS", "%q is not the name of a header: list names, such as traceparent,X-Tenant", name)
		}
	}
	if c.SweepInterval > 0 && c.SweepInterval < time.Second {
		report("SWEEP_INTERVAL", "%s is less than a second; set 1s or more", c.SweepInterval)
	}
	if kept := time.Duration(c.EventsRetention); kept > 0 {
		for _, each := range []struct {
			name string
			time time.Duration
		}{
			{"INVITATION_LIFETIME", c.InvitationLifetime},
			{"LIMIT_INVITATION", c.LimitInvitation.Per},
			{"LIMIT_RECIPIENT", c.LimitRecipient.Per},
			{"LIMIT_INVITER", c.LimitInviter.Per},
		} {
			if kept < each.time {
				report("EVENTS_RETENTION", "%s is less than the %s of %s%s, which events are needed for", kept, each.time, prefix, each.name)
			}
		}
	}
	if !slices.Contains([]string{"", "invited", "any", "none"}, c.SignInCreateUsers) {
		report("SIGNIN_CREATE_USERS", "%q is none of invited, any, none", c.SignInCreateUsers)
	}
	if name, err := c.checkOIDC(); err != nil {
		report(name, "%w", err)
	}
	if name, err := c.checkAuthProxy(); err != nil {
		report(name, "%w", err)
	}
	if _, known := profileDefaults[c.Profile]; !known && c.Profile != "" {
		report("PROFILE", "%q is neither waldur nor secure", c.Profile)
	}
	if c.LogFormat != "text" && c.LogFormat != "json" {
		report("LOG_FORMAT", "%q is neither text nor json", c.LogFormat)
	}
	if least, most := c.InvitationMinLifetime, c.InvitationMaxLifetime; most > 0 && least > most {
		report("INVITATION_MIN_LIFETIME", "%s is more than %sINVITATION_MAX_LIFETIME, which is %s: no end would be allowed", least, prefix, most)
	}
	for _, field := range c.InvitationAllowedFields {
		if !slices.Contains(personalFields, field) {
			report("INVITATION_ALLOWED_FIELDS", "%q is none of %s", field, strings.Join(personalFields, ", "))
		}
	}
	if c.InvitationUseWebhooks && c.InvitationWebhookURL == "" {
		report("INVITATION_USE_WEBHOOKS", "true, but %sINVITATION_WEBHOOK_URL is empty: set it to the http or https URL to post to", prefix)
	}
	switch {
	case c.EventsWebhookURL != "" && c.EventsWebhookSecret == "":
		report("EVENTS_WEBHOOK_URL", "set, but %sEVENTS_WEBHOOK_SECRET is empty, which signs the events: make one by openssl rand -base64 32", prefix)
	case c.EventsWebhookURL == "" && c.EventsWebhookSecret != "":
		report("EVENTS_WEBHOOK_SECRET", "set, but %sEVENTS_WEBHOOK_URL is empty: set it to the http or https URL to post events to", prefix)
	}
	return problems
}

// headerName matches the name of a header (RFC 9110, section 5.6.2).
var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'+.^_`|~-]+$")

// The values of MailReplyTo that are no address.
const (
	ReplyToInviter = "inviter"
	ReplyToNone    = "none"
)

var personalFields = []string{"full_name", "native_name", "phone_number", "organization", "job_title", "civil_number"}

func isPort(v string) bool {
	_, err := strconv.ParseUint(v, 10, 16)
	return err == nil
}

func isSMTPURL(v string) bool {
	u, err := url.Parse(v)
	return err == nil && slices.Contains([]string{"smtp", "smtps", "smtp+insecure"}, u.Scheme) && u.Hostname() != "" &&
		strings.Trim(u.Path, "/") == "" && u.RawQuery == "" && u.Fragment == ""
}

// parseOrigin returns an origin as browsers send it: in lower case, without the scheme's default port. An origin in
// another form would never match.
func parseOrigin(v string) (string, error) {
	if v == "*" {
		return "", errors.New("* would let every site call with its visitors' tokens: list each origin, such as https://portal.example.com")
	}
	u, err := url.Parse(strings.ToLower(v))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Scheme+"://"+u.Host != strings.ToLower(v) ||
		strings.Contains(v, "*") { // the CORS middleware would take it for a pattern
		return "", fmt.Errorf("%q is not an origin: write a scheme, a host and, if it is not the scheme's default, a port, "+
			"such as https://portal.example.com", v)
	}
	host, err := asciiHost(u.Host)
	if err != nil {
		return "", err
	}
	if u.Scheme == "https" {
		return "https://" + strings.TrimSuffix(host, ":443"), nil
	}
	return "http://" + strings.TrimSuffix(host, ":80"), nil
}
