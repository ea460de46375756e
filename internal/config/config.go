package config

import (
	"log/slog"
	"net"
	"net/mail"
	"net/url"
	"time"
)

const (
	prefix = "INVITED_"
	// testPrefix is that of variables for the tests. The server ignores them.
	testPrefix = prefix + "TEST_"
)

// Config holds the value of every variable. A field's variable is its env tag with INVITED_ before it; a variable
// that is unset or empty has the value of envDefault.
//
// Lists are separated by commas. Durations are Go durations (168h, 15m, 2s) above zero.
type Config struct {
	// ListenAddr is the address to listen on, as HOST:PORT. Without a host the server listens on every address; with
	// port 0 the system chooses a free port. Default: 127.0.0.1:8080.
	ListenAddr string `env:"LISTEN_ADDR" envDefault:"127.0.0.1:8080"`

	// MetricsAddr is the address, as HOST:PORT, where a monitoring system reads metrics without signing in. Default: none.
	MetricsAddr string `env:"METRICS_ADDR"`

	// Database is sqlite://PATH for the embedded database (sqlite:///PATH for an absolute path), or the postgres:// URL
	// of a server. Default: sqlite://data/invited.db.
	Database Database `env:"DATABASE_URL" envDefault:"sqlite://data/invited.db"`

	// DatabaseRead is the postgres:// URL of a standby of Database, from which lists are read. Default: none.
	DatabaseRead Database `env:"DATABASE_READ_URL"`

	// PublicURL is the base of every absolute URL in responses. It ends in "/". Default: http:// and ListenAddr, with
	// 127.0.0.1 for a host that means every address.
	PublicURL *url.URL `env:"PUBLIC_URL"`

	// FrontendURL is the base of the links in mails. It ends in "/", and may have the fragment of a front end with hash routes:
	// https://portal.example/#/. Default: PublicURL.
	FrontendURL *url.URL `env:"FRONTEND_URL"`

	// SiteName is the name of the site in mails and on the pages. Default: invited.
	SiteName string `env:"SITE_NAME" envDefault:"invited"`

	// SecretKey signs approval tokens and computes sign-in codes. It has at least 32 characters and no comma. Default with
	// SQLite: a generated key, see [Config.LoadSecret]. With PostgreSQL there is no default, because all servers must use the
	// same key.
	SecretKey Secret `env:"SECRET_KEY"`

	// SecretKeyFallbacks are former values of SecretKey: tokens that they signed still verify. Default: none.
	SecretKeyFallbacks []Secret `env:"SECRET_KEY_FALLBACKS"`

	// SMTPURL is the mail server: smtp://USER:PASSWORD@HOST:PORT (STARTTLS, which only a loopback host may leave out;
	// port 587 if none is given), smtps://… (TLS; port 465) or smtp+insecure://… (in the clear; port 587). Default: none;
	// mails are written into MailDir.
	SMTPURL Secret `env:"SMTP_URL"`

	// SMTPHelo is the name by which this server greets the mail server: a host name, or an address such as [192.0.2.1].
	// Default: the name of this machine.
	SMTPHelo string `env:"SMTP_HELO"`

	// SMTPCAFile is a PEM file with the certificates that the mail server's certificate may come from. Default: those of the
	// system.
	SMTPCAFile string `env:"SMTP_CA_FILE"`

	// SMTPRate is how many mails a second this process sends at most. Without it, a process is as fast as the mail server
	// takes mails, and slows down when the mail server asks for that. Default: 0, no limit.
	SMTPRate Rate `env:"SMTP_RATE" envDefault:"0"`

	// MailDir is the folder into which every mail is written as an .eml file if there is no SMTPURL. Default:
	// data/mail.
	MailDir string `env:"MAIL_DIR" envDefault:"data/mail"`

	// MailFrom is the sender of every mail, with or without a display name. Default: invited <invitations@localhost>.
	MailFrom mail.Address `env:"MAIL_FROM" envDefault:"invited <invitations@localhost>"`

	// MailReplyTo is where replies to mails go: inviter, none or an address. Mails that are not about an invitation have
	// only an address. Default: inviter.
	MailReplyTo string `env:"MAIL_REPLY_TO" envDefault:"inviter"`

	// TemplatesDir is a folder whose files replace the built-in mail templates of the same name. Default: none.
	TemplatesDir string `env:"TEMPLATES_DIR"`

	// CORSOrigins are the exact origins from which a browser may call, spelled as browsers send them: in lower case,
	// without a default port. Default: none.
	CORSOrigins []string `env:"CORS_ORIGINS"`

	// CORSHeaders are further request headers that a browser may send from CORSOrigins. Default: none.
	CORSHeaders []string `env:"CORS_HEADERS"`

	// Workers is whether this process does background work: delivery and the sweep. Default: true.
	Workers bool `env:"WORKERS" envDefault:"true"`

	// SweepInterval is the time between two searches for expired invitations, due reminders and projects that have
	// started. It is at least 1s. Default: 15m.
	SweepInterval time.Duration `env:"SWEEP_INTERVAL" envDefault:"15m"`

	// EventsRetention is how long the events of invitations and group invitations are kept; 0: for ever. It is at least 30d, the
	// lifetime of invitations, and the period of each limit on mails. Default: 0.
	EventsRetention Retention `env:"EVENTS_RETENTION" envDefault:"0"`

	// EventsWebhookURL is the URL that the events of invitations are posted to. It is secret because many such URLs contain a
	// key. Default: none.
	EventsWebhookURL Secret `env:"EVENTS_WEBHOOK_URL"`

	// EventsWebhookSecret signs the events by the Standard Webhooks scheme: base64 of 24 to 64 bytes, with or without whsec_
	// before it. It is required with EventsWebhookURL. Default: none.
	EventsWebhookSecret Secret `env:"EVENTS_WEBHOOK_SECRET"`

	// ShutdownDelay is the time for which a server that was told to stop reports that it is not ready, but still
	// serves, so that a load balancer can take it out. It may be zero. Default: 0s.
	ShutdownDelay Delay `env:"SHUTDOWN_DELAY" envDefault:"0s"`

	// TrustedProxies are the networks, in CIDR form, whose X-Forwarded-For header is trusted. Default: none.
	TrustedProxies []*net.IPNet `env:"TRUSTED_PROXIES"`

	// LimitUnknownKeys limits, for each client address, the requests with an API key that no token has. Default: 30/1m.
	LimitUnknownKeys Limit `env:"LIMIT_UNKNOWN_KEYS" envDefault:"30/1m"`

	// LogLevel is the lowest level that is logged: debug, info, warn or error. Default: info.
	LogLevel slog.Level `env:"LOG_LEVEL" envDefault:"info"`

	// LogFormat is text, or json for machines. Default: text.
	LogFormat string `env:"LOG_FORMAT" envDefault:"text"`

	// Pages is whether the server has pages for people: signing in, the invitation behind a link, approving and rejecting,
	// and the console.
	// Default: true.
	Pages bool `env:"PAGES" envDefault:"true"`

	// SignInCreateUsers names the people for whom signing in makes a user whom the directory does not have: invited (who has an
	// invitation to a verified address, open or expired in the last 30 days), any, or none. Default: invited.
	SignInCreateUsers string `env:"SIGNIN_CREATE_USERS" envDefault:"invited"`

	// SignInEmail is whether people can sign in by a code in a mail. Default: true.
	SignInEmail bool `env:"SIGNIN_EMAIL" envDefault:"true"`

	// Profile chooses the defaults of some policies: waldur or secure, see profileDefaults. Default: waldur.
	Profile string `env:"PROFILE" envDefault:"waldur"`

	// ServerURL is the server that `invited invite` sends people to. It ends in "/". Default: PublicURL.
	ServerURL *url.URL `env:"SERVER_URL"`

	// Token is the API token with which `invited invite` calls ServerURL. Default: none.
	Token Secret `env:"TOKEN"`

	OIDC

	AuthProxy

	Policy

	// Unknown holds the names, in alphabetical order, of INVITED_ variables that do not exist. They are most likely
	// typing errors, and worth a warning.
	Unknown []string `env:"-"`
}

// Policy is the part of Config that decides how invitations behave. The names are Waldur's.
type Policy struct {
	// InvitationLifetime is the time from the creation of an invitation, or from the start of its project, to its
	// expiry. Default: 168h.
	InvitationLifetime time.Duration `env:"INVITATION_LIFETIME" envDefault:"168h"`

	// InvitationMinLifetime and InvitationMaxLifetime limit the life of an invitation whose request names its end. They do not
	// limit InvitationLifetime. Defaults: 5m, and 8760h: a year.
	InvitationMinLifetime time.Duration `env:"INVITATION_MIN_LIFETIME" envDefault:"5m"`
	InvitationMaxLifetime time.Duration `env:"INVITATION_MAX_LIFETIME" envDefault:"8760h"`

	// InvitationMaxAge is the age at which an approval token stops working. Default: 168h; in the profile secure 72h.
	InvitationMaxAge time.Duration `env:"INVITATION_MAX_AGE" envDefault:"168h"`

	// OnlyStaffCanInviteUsers makes the invitations of other users start as requested: staff must approve them, and
	// only staff can edit invitations. Group invitations are not held back. Default: false.
	OnlyStaffCanInviteUsers bool `env:"ONLY_STAFF_CAN_INVITE_USERS" envDefault:"false"`

	// ValidateInvitationEmail hides the details of an invitation from, and denies accepting it to, users with another
	// e-mail. Default: false; in the profile secure true.
	ValidateInvitationEmail bool `env:"VALIDATE_INVITATION_EMAIL" envDefault:"false"`

	// EnableStrictCheckAcceptingInvitation rejects, with a 400, accepting with another e-mail. Default: false.
	EnableStrictCheckAcceptingInvitation bool `env:"ENABLE_STRICT_CHECK_ACCEPTING_INVITATION" envDefault:"false"`

	// InvitationDisableMultipleRoles rejects a second role of a user in the same scope. Default: false.
	InvitationDisableMultipleRoles bool `env:"INVITATION_DISABLE_MULTIPLE_ROLES" envDefault:"false"`

	// OnlyOneProjectManager limits each project to one active PROJECT.MANAGER. Default: false.
	OnlyOneProjectManager bool `env:"ONLY_ONE_PROJECT_MANAGER" envDefault:"false"`

	// InvitationCreateMissingUser creates a user for an unknown e-mail before the invitation is sent. Default: false.
	InvitationCreateMissingUser bool `env:"INVITATION_CREATE_MISSING_USER" envDefault:"false"`

	// InvitationAllowedFields are the personal fields that an invitation may have; others are neither stored nor shown.
	// Default: all six.
	InvitationAllowedFields []string `env:"INVITATION_ALLOWED_FIELDS" envDefault:"full_name,native_name,phone_number,organization,job_title,civil_number"`

	// InvitationLinkSecret gives each new invitation a link of its own, which no list shows. The invitation's UUID then
	// admits only a user with the invitation's e-mail. Default: false; in the profile secure true.
	InvitationLinkSecret bool `env:"INVITATION_LINK_SECRET" envDefault:"false"`

	// RoleCeiling limits the roles that an inviter can offer to those whose permissions the inviter holds in the scope or
	// its organization. An approver of a request to join grants only such roles. Staff may offer and grant every role.
	// Default: false; in the profile secure true.
	RoleCeiling bool `env:"ROLE_CEILING" envDefault:"false"`

	// RecheckInviter rejects accepting an invitation whose inviter is not active any more or may not manage the scope any
	// more. A group invitation approves requests by itself only while who edited it last is active and may offer its role.
	// Default: false; in the profile secure true.
	RecheckInviter bool `env:"RECHECK_INVITER" envDefault:"false"`

	// RestrictAutoApprove refuses group invitations that approve requests at once and name neither e-mail patterns nor
	// affiliations nor identity sources. Default: false; in the profile secure true.
	RestrictAutoApprove bool `env:"RESTRICT_AUTO_APPROVE" envDefault:"false"`

	// ProjectNameRegex is the pattern (RE2) that the names have to match which people give to the projects that approvals make.
	// The pattern may match a part of the name. Default: none.
	ProjectNameRegex Pattern `env:"PROJECT_NAME_REGEX"`

	// LimitInvitation limits the deliveries of one invitation, and the requests of one user by one group invitation.
	// Default: 10/1h.
	LimitInvitation Limit `env:"LIMIT_INVITATION" envDefault:"10/1h"`

	// LimitRecipient limits the mails to one address, over all scopes. Counted apart, it limits the mails to one approver about
	// requests to join; those beyond the limit wait. Default: 50/24h; in the profile secure 20/24h.
	LimitRecipient Limit `env:"LIMIT_RECIPIENT" envDefault:"50/24h"`

	// LimitInviter limits the new addresses that one user invites. Counted apart, it limits the group invitations and requests
	// to join that one user makes. Staff have ten times the limit. Default: 0, no limit; in the profile secure 200/1h.
	LimitInviter Limit `env:"LIMIT_INVITER" envDefault:"0"`

	// NotifyAccepted mails the inviter when somebody accepts. Default: false.
	NotifyAccepted bool `env:"NOTIFY_ACCEPTED" envDefault:"false"`

	// RequestMailInterval is the least time between two mails to one user about invitations that wait for approval, or about
	// requests to join. Default: 1m.
	RequestMailInterval time.Duration `env:"REQUEST_MAIL_INTERVAL" envDefault:"1m"`

	// InvitationUseWebhooks delivers invitations into projects by webhook instead of by mail. Reminders, notices and
	// invitations into other scopes stay mails. Default: false.
	InvitationUseWebhooks bool `env:"INVITATION_USE_WEBHOOKS" envDefault:"false"`

	// InvitationWebhookURL is the URL that invitations into projects are posted to. It is required with
	// InvitationUseWebhooks, and secret because many such URLs contain a key. Default: none.
	InvitationWebhookURL Secret `env:"INVITATION_WEBHOOK_URL"`

	// InvitationWebhookTokenURL is the token endpoint for OAuth 2 client credentials (RFC 6749, section 4.4). It is set
	// together with the client's ID and secret, or none of the three is set. Default: none.
	InvitationWebhookTokenURL Secret `env:"INVITATION_WEBHOOK_TOKEN_URL"`

	// InvitationWebhookTokenClientID is the client ID at InvitationWebhookTokenURL. Default: none.
	InvitationWebhookTokenClientID string `env:"INVITATION_WEBHOOK_TOKEN_CLIENT_ID"`

	// InvitationWebhookTokenSecret is the client secret at InvitationWebhookTokenURL. Default: none.
	InvitationWebhookTokenSecret Secret `env:"INVITATION_WEBHOOK_TOKEN_SECRET"`

	// InvitationWebhookSecret signs each webhook by the Standard Webhooks scheme: base64 of 24 to 64 bytes, with or
	// without whsec_ before it. Default: none; webhooks are not signed.
	InvitationWebhookSecret Secret `env:"INVITATION_WEBHOOK_SECRET"`
}

// Bound returns a copy of c for a listener's address: URLs that were derived from a ListenAddr with port 0 get the port
// that the system chose.
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
