package config

import (
	"errors"
	"log/slog"
	"net"
	"net/mail"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

const (
	prefix = "INVITED_"
	// The tests' own settings share the prefix and mean nothing to the server.
	testPrefix = prefix + "TEST_"
)

// Config is the whole environment. Each field's variable is its env tag with
// INVITED_ before it; envDefault holds where the variable is unset or empty.
// Lists are comma separated. Durations are Go durations (168h, 15m, 2s) above
// zero.
type Config struct {
	// ListenAddr is the address served, as HOST:PORT. Port 0 takes a free one.
	ListenAddr string `env:"LISTEN_ADDR" envDefault:"127.0.0.1:8080"`

	// Database is sqlite://PATH for the embedded database (sqlite:///PATH for an
	// absolute path), or the postgres:// URL of a server.
	Database Database `env:"DATABASE_URL" envDefault:"sqlite://data/invited.db"`

	// PublicURL is the base of every absolute URL in responses; it ends in "/".
	// Default: http and ListenAddr, with 127.0.0.1 for a host that means any
	// address.
	PublicURL *url.URL `env:"PUBLIC_URL"`

	// FrontendURL is the base of the links in mails; it ends in "/". Default:
	// PublicURL.
	FrontendURL *url.URL `env:"FRONTEND_URL"`

	// SiteName is the name used in mails.
	SiteName string `env:"SITE_NAME" envDefault:"invited"`

	// SecretKey signs approval tokens; at least 32 characters. Empty with SQLite:
	// LoadSecret makes one. Required to serve with PostgreSQL, whose servers must
	// agree on it.
	SecretKey Secret `env:"SECRET_KEY"`

	// SecretKeyFallbacks are older keys that still verify.
	SecretKeyFallbacks []Secret `env:"SECRET_KEY_FALLBACKS"`

	// SMTPURL is the mail server: smtp://USER:PASSWORD@HOST:PORT (STARTTLS when
	// offered) or smtps://…. Empty: mails are written into MailDir.
	SMTPURL Secret `env:"SMTP_URL"`

	// MailDir is the folder that takes an .eml file for every mail when there is
	// no SMTPURL.
	MailDir string `env:"MAIL_DIR" envDefault:"data/mail"`

	// MailFrom is the sender of every mail.
	MailFrom mail.Address `env:"MAIL_FROM" envDefault:"invited <invitations@localhost>"`

	// TemplatesDir is a folder whose files replace the built-in mail templates of
	// the same name. Empty: the built-in ones.
	TemplatesDir string `env:"TEMPLATES_DIR"`

	// CORSOrigins are the exact origins that a browser may call from, in the form
	// in which browsers send them.
	CORSOrigins []string `env:"CORS_ORIGINS"`

	// Workers says whether this process runs the background work.
	Workers bool `env:"WORKERS" envDefault:"true"`

	// SweepInterval is how often expiry, reminders and pending projects are looked
	// at; a second at least.
	SweepInterval time.Duration `env:"SWEEP_INTERVAL" envDefault:"15m"`

	// ShutdownDelay is for how long a server that was told to end says that it is
	// not ready, and serves all the same; zero: not at all.
	ShutdownDelay Delay `env:"SHUTDOWN_DELAY" envDefault:"0s"`

	// TrustedProxies are the networks (CIDR) whose X-Forwarded-For is believed.
	TrustedProxies []*net.IPNet `env:"TRUSTED_PROXIES"`

	// LogLevel is the lowest level that is logged: debug, info, warn or error.
	LogLevel slog.Level `env:"LOG_LEVEL" envDefault:"info"`

	// LogFormat is text, or json for machines.
	LogFormat string `env:"LOG_FORMAT" envDefault:"text"`

	Policy

	// Unknown names the INVITED_ variables that are none of the above, sorted:
	// typing errors, most likely, and worth a warning.
	Unknown []string `env:"-"`
}

// Policy is the part of the environment that says how invitations behave. The
// names are Waldur's.
type Policy struct {
	// InvitationLifetime is how long after its creation an invitation expires.
	InvitationLifetime time.Duration `env:"INVITATION_LIFETIME" envDefault:"168h"`

	// InvitationMaxAge is the age at which an approval token stops working.
	InvitationMaxAge time.Duration `env:"INVITATION_MAX_AGE" envDefault:"168h"`

	// OnlyStaffCanInviteUsers makes others' invitations start as requested, to be
	// approved by staff.
	OnlyStaffCanInviteUsers bool `env:"ONLY_STAFF_CAN_INVITE_USERS" envDefault:"false"`

	// ValidateInvitationEmail lets only a user with the invitation's e-mail see
	// its details and accept it.
	ValidateInvitationEmail bool `env:"VALIDATE_INVITATION_EMAIL" envDefault:"false"`

	// EnableStrictCheckAcceptingInvitation refuses, with a 400, to accept with a
	// different e-mail.
	EnableStrictCheckAcceptingInvitation bool `env:"ENABLE_STRICT_CHECK_ACCEPTING_INVITATION" envDefault:"false"`

	// InvitationDisableMultipleRoles refuses a second role in the same scope.
	InvitationDisableMultipleRoles bool `env:"INVITATION_DISABLE_MULTIPLE_ROLES" envDefault:"false"`

	// OnlyOneProjectManager allows each project one active PROJECT.MANAGER.
	OnlyOneProjectManager bool `env:"ONLY_ONE_PROJECT_MANAGER" envDefault:"false"`

	// InvitationCreateMissingUser makes a user record for an unknown e-mail before
	// the invitation is sent.
	InvitationCreateMissingUser bool `env:"INVITATION_CREATE_MISSING_USER" envDefault:"false"`

	// InvitationAllowedFields are the personal fields that are taken and shown.
	InvitationAllowedFields []string `env:"INVITATION_ALLOWED_FIELDS" envDefault:"full_name,native_name,phone_number,organization,job_title,civil_number"`

	// InvitationUseWebhooks delivers invitations into projects by webhook rather
	// than by mail. Reminders, notices and other scopes' invitations stay mails.
	InvitationUseWebhooks bool `env:"INVITATION_USE_WEBHOOKS" envDefault:"false"`

	// InvitationWebhookURL is where they are posted to; required with
	// InvitationUseWebhooks. URLs are secret because many carry a key of their own.
	InvitationWebhookURL Secret `env:"INVITATION_WEBHOOK_URL"`

	// The OAuth 2 client credentials that the webhook wants: all of them or none.
	InvitationWebhookTokenURL      Secret `env:"INVITATION_WEBHOOK_TOKEN_URL"`
	InvitationWebhookTokenClientID string `env:"INVITATION_WEBHOOK_TOKEN_CLIENT_ID"`
	InvitationWebhookTokenSecret   Secret `env:"INVITATION_WEBHOOK_TOKEN_SECRET"`

	// InvitationWebhookSecret signs each webhook by the Standard Webhooks scheme:
	// base64 of 24 to 64 bytes, with or without whsec_ before it. Empty: unsigned.
	InvitationWebhookSecret Secret `env:"INVITATION_WEBHOOK_SECRET"`
}

// Load reads the configuration from an environment in the form of os.Environ.
// The error has one line for each bad variable, with its name, what is wrong
// and what is expected; no line quotes a value that may hold a secret.
func Load(environ []string) (Config, error) {
	vars := env.ToMap(environ)
	// A field without a tag of its own, such as Policy, is looked up by the bare
	// prefix.
	delete(vars, prefix)

	var c Config
	opts := env.Options{Environment: vars, Prefix: prefix, FuncMap: parsers}
	problems := append(parseProblems(env.ParseWithOptions(&c, opts), vars), c.check()...)
	if len(problems) > 0 {
		return Config{}, errors.Join(problems...)
	}

	if c.PublicURL == nil {
		c.PublicURL = urlOf(c.ListenAddr)
	}
	if c.FrontendURL == nil {
		c.FrontendURL = c.PublicURL
	}

	// Of an empty Config, since the library takes a URL that is set for a section
	// with variables of its own.
	fields, err := env.GetFieldParamsWithOptions(&Config{}, opts)
	if err != nil {
		return Config{}, err
	}
	c.Unknown = unknown(vars, fields)
	return c, nil
}

func unknown(vars map[string]string, fields []env.FieldParams) []string {
	var names []string
	for name := range vars {
		known := slices.ContainsFunc(fields, func(f env.FieldParams) bool { return f.Key == name })
		if !known && strings.HasPrefix(name, prefix) && !strings.HasPrefix(name, testPrefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Bound returns c with the port that was really bound in the URLs that were
// derived from a ListenAddr with port 0.
func (c Config) Bound(addr net.Addr) Config {
	_, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return c
	}
	for _, u := range []**url.URL{&c.PublicURL, &c.FrontendURL} {
		if (*u).Port() == "0" {
			bound := **u
			bound.Host = net.JoinHostPort(bound.Hostname(), port)
			*u = &bound
		}
	}
	return c
}

// parseProblems says the library's errors in this package's form. They name the
// field, not the variable, and slog's own says nothing of what is expected.
func parseProblems(err error, vars map[string]string) []error {
	if err == nil {
		return nil
	}
	var all env.AggregateError
	if !errors.As(err, &all) {
		return []error{err}
	}
	var problems []error
	for _, err := range all.Errors {
		var parse env.ParseError
		if !errors.As(err, &parse) {
			problems = append(problems, err)
			continue
		}
		field, _ := reflect.TypeFor[Config]().FieldByName(parse.Name)
		name := field.Tag.Get("env")
		if parse.Type == reflect.TypeFor[slog.Level]() {
			problems = append(problems, bad(name, "%q is not debug, info, warn or error", vars[prefix+name]))
			continue
		}
		problems = append(problems, bad(name, "%w", parse.Err))
	}
	return problems
}
