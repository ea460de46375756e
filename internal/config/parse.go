package config

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// A token can be attacked offline by whoever holds one; a random key of this
// many characters withstands that.
const (
	minSecret  = 32
	makeSecret = "make one with: openssl rand -base64 32"
)

// An Engine is a kind of database.
type Engine string

// The engines.
const (
	SQLite   Engine = "sqlite"
	Postgres Engine = "postgres"
)

// Database says which database to open. Path is set with SQLite, DSN with
// Postgres.
type Database struct {
	Engine Engine
	Path   string
	DSN    Secret
}

// String names the database without its credentials.
func (d Database) String() string {
	if d.Engine == SQLite {
		return "sqlite://" + d.Path
	}
	u, err := url.Parse(d.DSN.Reveal())
	if err != nil {
		return string(d.Engine)
	}
	return "postgres://" + u.Host + u.Path
}

var parsers = map[reflect.Type]env.ParserFunc{
	reflect.TypeFor[bool]():          func(v string) (any, error) { return parseBool(v) },
	reflect.TypeFor[time.Duration](): func(v string) (any, error) { return parseDuration(v) },
	reflect.TypeFor[Delay]():         func(v string) (any, error) { return parseDelay(v) },
	reflect.TypeFor[url.URL]():       func(v string) (any, error) { return parseBase(v) },
	reflect.TypeFor[Database]():      func(v string) (any, error) { return parseDatabase(v) },
	reflect.TypeFor[mail.Address]():  func(v string) (any, error) { return parseAddress(v) },
	reflect.TypeFor[Secret]():        func(v string) (any, error) { return Secret(strings.TrimSpace(v)), nil },
	reflect.TypeFor[[]Secret]():      func(v string) (any, error) { return parseList(v, parseSecret) },
	reflect.TypeFor[[]string]():      func(v string) (any, error) { return split(v), nil },
	reflect.TypeFor[[]*net.IPNet]():  func(v string) (any, error) { return parseList(v, parseNetwork) },
}

func parseBool(v string) (bool, error) {
	b, err := strconv.ParseBool(v)
	if err != nil {
		return false, fmt.Errorf("%q is neither true nor false", v)
	}
	return b, nil
}

func parseDuration(v string) (time.Duration, error) {
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is not a duration above zero, such as 168h, 15m or 2s", v)
	}
	return d, nil
}

// A Delay is a duration that may be zero.
type Delay time.Duration

func parseDelay(v string) (Delay, error) {
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a duration, such as 5s, or 0s for none", v)
	}
	return Delay(d), nil
}

// parseBase reads a URL that others are resolved against: a base without a
// slash at its end would lose its last segment.
func parseBase(v string) (url.URL, error) {
	u, err := url.Parse(v)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return url.URL{}, errors.New("not an absolute http or https URL, such as https://invite.example.com/")
	case u.User != nil:
		return url.URL{}, errors.New("must not contain a user or a password, since it stands in responses and mails")
	case strings.ContainsAny(v, "?#"):
		return url.URL{}, errors.New("must not contain a query or a fragment, since paths are added to it")
	}
	u.Host = strings.ToLower(u.Host)
	return *u.JoinPath("/"), nil
}

func parseDatabase(v string) (Database, error) {
	scheme, rest, _ := strings.Cut(v, "://")
	switch scheme {
	case "sqlite":
		// SQLite reads these as options and escapes; the server sets its own options.
		if rest == "" || strings.HasSuffix(rest, "/") || strings.ContainsAny(rest, "?#%") {
			return Database{}, errors.New("sqlite:// must be followed by the path of a file, without any of ?, # and %")
		}
		if strings.Contains(rest, ":memory:") {
			return Database{}, errors.New("a database in memory would differ between connections: name a file, such as sqlite://data/invited.db")
		}
		return Database{Engine: SQLite, Path: rest}, nil
	case "postgres", "postgresql":
		if _, err := url.Parse(v); err != nil {
			return Database{}, errors.New("not a valid URL; " + escapeHint)
		}
		return Database{Engine: Postgres, DSN: Secret(v)}, nil
	default:
		return Database{}, errors.New("neither sqlite://PATH nor postgres://USER:PASSWORD@HOST:PORT/DATABASE")
	}
}

// escapeHint is the likely remedy for a URL that doesn't parse. The URL itself
// may hold a password, and is never quoted.
const escapeHint = "in a user or password, write each of : / ? # @ % as its percent code, such as %40 for @"

func parseAddress(v string) (mail.Address, error) {
	a, err := mail.ParseAddress(v)
	if err != nil {
		return mail.Address{}, fmt.Errorf("%q is not an e-mail address, such as Invitations <invitations@example.com>", v)
	}
	return *a, nil
}

func parseSecret(v string) (Secret, error) { return Secret(v), nil }

func parseNetwork(v string) (*net.IPNet, error) {
	_, network, err := net.ParseCIDR(v)
	if err != nil {
		return nil, fmt.Errorf("%q is not a network in CIDR form, such as 10.0.0.0/8, or 192.0.2.7/32 for one address", v)
	}
	return network, nil
}

func split(v string) []string {
	var items []string
	for item := range strings.SplitSeq(v, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

func parseList[T any](v string, parse func(string) (T, error)) ([]T, error) {
	var list []T
	for _, item := range split(v) {
		one, err := parse(item)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, nil
}

// check judges what any text can be parsed into. It passes what is empty, and so
// doesn't report again a variable that could not be parsed.
func (c *Config) check() []error {
	var problems []error
	note := func(name, format string, args ...any) { problems = append(problems, bad(name, format, args...)) }

	if _, port, err := net.SplitHostPort(c.ListenAddr); err != nil || !isPort(port) {
		note("LISTEN_ADDR", "%q is not HOST:PORT, such as 127.0.0.1:8080, or :8080 for every address", c.ListenAddr)
	}
	switch key := c.SecretKey; {
	case key != "" && len(key) < minSecret:
		note("SECRET_KEY", "shorter than %d characters; %s", minSecret, makeSecret)
	case strings.Contains(key.Reveal(), ","):
		note("SECRET_KEY", "contains a comma, and could not become one of %sSECRET_KEY_FALLBACKS later; %s", prefix, makeSecret)
	}
	if slices.ContainsFunc(c.SecretKeyFallbacks, func(s Secret) bool { return len(s) < minSecret }) {
		note("SECRET_KEY_FALLBACKS", "a key is shorter than %d characters; want comma separated keys that were %sSECRET_KEY before", minSecret, prefix)
	}
	if c.SMTPURL != "" && !isSMTP(c.SMTPURL.Reveal()) {
		note("SMTP_URL", "not smtp://USER:PASSWORD@HOST:PORT or smtps://USER:PASSWORD@HOST:PORT; %s", escapeHint)
	}
	for i, origin := range c.CORSOrigins {
		normal, err := parseOrigin(origin)
		if err != nil {
			note("CORS_ORIGINS", "%w", err)
		}
		c.CORSOrigins[i] = normal
	}
	if c.SweepInterval > 0 && c.SweepInterval < time.Second {
		note("SWEEP_INTERVAL", "%s is less than a second", c.SweepInterval)
	}
	if c.LogFormat != "text" && c.LogFormat != "json" {
		note("LOG_FORMAT", "%q is neither text nor json", c.LogFormat)
	}
	for _, field := range c.InvitationAllowedFields {
		if !slices.Contains(personalFields, field) {
			note("INVITATION_ALLOWED_FIELDS", "%q is none of %s", field, strings.Join(personalFields, ", "))
		}
	}
	if c.InvitationUseWebhooks && c.InvitationWebhookURL == "" {
		note("INVITATION_USE_WEBHOOKS", "true, but %sINVITATION_WEBHOOK_URL is empty: set it to the http or https URL to post to", prefix)
	}
	return problems
}

var personalFields = []string{"full_name", "native_name", "phone_number", "organization", "job_title", "civil_number"}

func isPort(v string) bool {
	_, err := strconv.ParseUint(v, 10, 16)
	return err == nil
}

func isSMTP(v string) bool {
	u, err := url.Parse(v)
	return err == nil && (u.Scheme == "smtp" || u.Scheme == "smtps") && u.Hostname() != "" &&
		strings.Trim(u.Path, "/") == "" && u.RawQuery == "" && u.Fragment == ""
}

// parseOrigin returns an origin as browsers write it: in lower case, without the
// scheme's own port. Any other form would never match.
func parseOrigin(v string) (string, error) {
	if v == "*" {
		return "", errors.New("* would let every site call with the token of its visitor: list each origin, such as https://portal.example.com")
	}
	u, err := url.Parse(strings.ToLower(v))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Scheme+"://"+u.Host != strings.ToLower(v) ||
		strings.Contains(v, "*") { // which would be taken for a pattern
		return "", fmt.Errorf("%q is not an origin: want a scheme, a host and, where it is not the usual one, a port, such as https://portal.example.com", v)
	}
	if u.Scheme == "https" {
		return "https://" + strings.TrimSuffix(u.Host, ":443"), nil
	}
	return "http://" + strings.TrimSuffix(u.Host, ":80"), nil
}

// urlOf is the URL of a listener for a client on the same machine.
func urlOf(listenAddr string) *url.URL {
	host, port, _ := net.SplitHostPort(listenAddr)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return &url.URL{Scheme: "http", Host: net.JoinHostPort(host, port), Path: "/"}
}

func bad(name, format string, args ...any) error {
	return fmt.Errorf(prefix+name+": "+format, args...)
}
