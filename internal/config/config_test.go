package config_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/mail"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"invited/internal/config"
)

const longKey = "0123456789abcdef0123456789abcdef"

func load(t *testing.T, environ ...string) config.Config {
	t.Helper()
	c, err := config.Load(environ)
	require.NoError(t, err)
	return c
}

func parseURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	require.NoError(t, err)
	return u
}

func TestDefaults(t *testing.T) {
	t.Parallel()

	base := parseURL(t, "http://127.0.0.1:8080/")
	want := config.Config{
		ListenAddr:        "127.0.0.1:8080",
		Database:          config.Database{Engine: config.SQLite, Path: "data/invited.db"},
		PublicURL:         base,
		FrontendURL:       base,
		ServerURL:         base,
		SiteName:          "invited",
		MailDir:           "data/mail",
		MailFrom:          mail.Address{Name: "invited", Address: "invitations@localhost"},
		MailReplyTo:       config.ReplyToInviter,
		Workers:           true,
		SweepInterval:     15 * time.Minute,
		LimitUnknownKeys:  config.Limit{Count: 30, Per: time.Minute},
		LogLevel:          slog.LevelInfo,
		LogFormat:         "text",
		Profile:           config.ProfileWaldur,
		Pages:             true,
		SignInCreateUsers: "invited",
		SignInEmail:       true,
		OIDC:              config.OIDC{OIDCScopes: "openid email profile"},
		AuthProxy:         config.AuthProxy{AuthProxyHeaders: authelia},
		Policy: config.Policy{
			LimitInvitation:         config.Limit{Count: 10, Per: time.Hour},
			LimitRecipient:          config.Limit{Count: 50, Per: 24 * time.Hour},
			RequestMailInterval:     time.Minute,
			InvitationLifetime:      168 * time.Hour,
			InvitationMinLifetime:   5 * time.Minute,
			InvitationMaxLifetime:   365 * 24 * time.Hour,
			InvitationMaxAge:        168 * time.Hour,
			InvitationAllowedFields: []string{"full_name", "native_name", "phone_number", "organization", "job_title", "civil_number"},
		},
	}
	assert.Equal(t, want, load(t))
	assert.Equal(t, want, load(t, "INVITED_=x", "INVITED_LISTEN_ADDR=", "INVITED_LOG_LEVEL=", "PATH=/bin", "LISTEN_ADDR=:1"))
}

// authelia are the default headers of a proxy that signs people in.
var authelia = config.ProxyHeaders{
	User: "Remote-User", Username: "Remote-User", Email: "Remote-Email", Name: "Remote-Name", Groups: "Remote-Groups",
}

func TestEveryVariableIsRead(t *testing.T) {
	t.Parallel()

	_, network, err := net.ParseCIDR("10.0.0.0/8")
	require.NoError(t, err)

	want := config.Config{
		ListenAddr:         "0.0.0.0:80",
		Database:           config.Database{Engine: config.Postgres, DSN: "postgres://u:p@db/invited"},
		DatabaseRead:       config.Database{Engine: config.Postgres, DSN: "postgres://u:p@standby/invited"},
		PublicURL:          parseURL(t, "https://api.example.com/"),
		FrontendURL:        parseURL(t, "https://portal.example.com/"),
		ServerURL:          parseURL(t, "https://server.example.com/"),
		Token:              "an API token",
		SiteName:           "Example Cloud",
		SecretKey:          longKey,
		SecretKeyFallbacks: []config.Secret{longKey + "1", longKey + "2"},
		SMTPURL:            "smtp://u:p@mail:587",
		SMTPRate:           0.5,
		SMTPHelo:           "invite.example.com",
		SMTPCAFile:         "/etc/smtp.pem",
		MailReplyTo:        "Help <help@example.com>",
		MailDir:            "/var/mail",
		MailFrom:           mail.Address{Name: "Ünal", Address: "no-reply@example.com"},
		TemplatesDir:       "/etc/invited",
		CORSOrigins:        []string{"https://a.example.com", "http://localhost:4200"},
		CORSHeaders:        []string{"traceparent", "X-Tenant"},
		Workers:            false,
		SweepInterval:      time.Minute,
		ShutdownDelay:      config.Delay(5 * time.Second),
		EventsRetention:    config.Retention(365 * 24 * time.Hour),

		EventsWebhookURL: "https://hook.example.com/events", EventsWebhookSecret: "whsec_hush",

		TrustedProxies:    []*net.IPNet{network},
		LimitUnknownKeys:  config.Limit{Count: 3, Per: time.Second},
		LogLevel:          slog.LevelDebug,
		LogFormat:         "json",
		Profile:           config.ProfileSecure,
		Pages:             false,
		SignInCreateUsers: "none",
		SignInEmail:       false,
		OIDC: config.OIDC{
			OIDCIssuer: "https://login.example.com/realms/main/", OIDCClientID: "invited", OIDCClientSecret: "hush", OIDCName: "Campus",
			OIDCScopes: "openid email", OIDCAudiences: []string{"api", "invited"}, OIDCCAFile: "/etc/ca.pem", OIDCFile: "/etc/oidc.yaml",
		},
		AuthProxy: config.AuthProxy{
			AuthProxies: []*net.IPNet{network}, AuthProxySecret: longKey, AuthProxyStaffGroups: []string{"operators", "admins"},
			AuthProxyHeaders: config.ProxyHeaders{User: "X-User", Username: "X-User", Email: "X-Email", Name: "X-Name", Groups: "X-Groups"},
		},
		Policy: config.Policy{
			InvitationLinkSecret:                 false,
			RoleCeiling:                          false,
			RecheckInviter:                       false,
			RestrictAutoApprove:                  false,
			ProjectNameRegex:                     "^[a-z]+$",
			LimitInvitation:                      config.Limit{},
			LimitRecipient:                       config.Limit{Count: 5, Per: time.Minute},
			LimitInviter:                         config.Limit{Count: 7, Per: 90 * time.Second},
			NotifyAccepted:                       true,
			RequestMailInterval:                  5 * time.Minute,
			InvitationLifetime:                   time.Hour,
			InvitationMinLifetime:                time.Minute,
			InvitationMaxLifetime:                30 * 24 * time.Hour,
			InvitationMaxAge:                     2 * time.Hour,
			OnlyStaffCanInviteUsers:              true,
			ValidateInvitationEmail:              true,
			EnableStrictCheckAcceptingInvitation: true,
			InvitationDisableMultipleRoles:       true,
			OnlyOneProjectManager:                true,
			InvitationCreateMissingUser:          true,
			InvitationAllowedFields:              []string{"full_name", "job_title"},
			InvitationWebhookURL:                 "https://hook.example.com/key",
			InvitationWebhookTokenURL:            "https://sso.example.com/token",
			InvitationWebhookTokenClientID:       "client",
			InvitationWebhookTokenSecret:         "hush",
			InvitationWebhookSecret:              "whsec_hush",
		},
	}
	got := load(t,
		"INVITED_LISTEN_ADDR=0.0.0.0:80",
		"INVITED_DATABASE_URL=postgres://u:p@db/invited",
		"INVITED_DATABASE_READ_URL=postgres://u:p@standby/invited",
		"INVITED_PUBLIC_URL=https://api.example.com",
		"INVITED_FRONTEND_URL=https://portal.example.com/",
		"INVITED_SERVER_URL=https://server.example.com",
		"INVITED_TOKEN=an API token",
		"INVITED_SITE_NAME=Example Cloud",
		"INVITED_SECRET_KEY="+longKey,
		"INVITED_SECRET_KEY_FALLBACKS="+longKey+"1, "+longKey+"2,",
		"INVITED_SMTP_URL=smtp://u:p@mail:587",
		"INVITED_SMTP_RATE=0.5",
		"INVITED_SMTP_HELO=invite.example.com",
		"INVITED_SMTP_CA_FILE=/etc/smtp.pem",
		"INVITED_MAIL_REPLY_TO=Help <help@example.com>",
		"INVITED_MAIL_DIR=/var/mail",
		"INVITED_MAIL_FROM=Ünal <no-reply@example.com>",
		"INVITED_TEMPLATES_DIR=/etc/invited",
		"INVITED_CORS_ORIGINS=https://A.example.com:443, http://localhost:4200",
		"INVITED_CORS_HEADERS=traceparent, X-Tenant",
		"INVITED_WORKERS=false",
		"INVITED_SWEEP_INTERVAL=1m",
		"INVITED_SHUTDOWN_DELAY=5s",
		"INVITED_EVENTS_RETENTION=365d",
		"INVITED_EVENTS_WEBHOOK_URL=https://hook.example.com/events",
		"INVITED_EVENTS_WEBHOOK_SECRET=whsec_hush",
		"INVITED_TRUSTED_PROXIES=10.1.2.3/8",
		"INVITED_LIMIT_UNKNOWN_KEYS=3/1s",
		"INVITED_LOG_LEVEL=debug",
		"INVITED_LOG_FORMAT=json",
		"INVITED_PROFILE=secure",
		"INVITED_PAGES=false",
		"INVITED_SIGNIN_CREATE_USERS=none",
		"INVITED_SIGNIN_EMAIL=false",
		"INVITED_OIDC_ISSUER=https://login.example.com/realms/main/",
		"INVITED_OIDC_CLIENT_ID=invited",
		"INVITED_OIDC_CLIENT_SECRET=hush",
		"INVITED_OIDC_NAME=Campus",
		"INVITED_OIDC_SCOPES=openid email",
		"INVITED_OIDC_AUDIENCES=api, invited",
		"INVITED_OIDC_CA_FILE=/etc/ca.pem",
		"INVITED_OIDC_FILE=/etc/oidc.yaml",
		"INVITED_AUTH_PROXIES=10.1.2.3/8",
		"INVITED_AUTH_PROXY_SECRET="+longKey,
		"INVITED_AUTH_PROXY_HEADERS=X-User, x-email,X-Name,X-Groups",
		"INVITED_AUTH_PROXY_STAFF_GROUPS=operators, admins",
		"INVITED_INVITATION_LINK_SECRET=false",
		"INVITED_ROLE_CEILING=false",
		"INVITED_RECHECK_INVITER=false",
		"INVITED_RESTRICT_AUTO_APPROVE=false",
		"INVITED_PROJECT_NAME_REGEX=^[a-z]+$",
		"INVITED_LIMIT_INVITATION=0",
		"INVITED_LIMIT_RECIPIENT=5/1m",
		"INVITED_LIMIT_INVITER= 7 / 90s ",
		"INVITED_NOTIFY_ACCEPTED=true",
		"INVITED_REQUEST_MAIL_INTERVAL=5m",
		"INVITED_INVITATION_LIFETIME=1h",
		"INVITED_INVITATION_MIN_LIFETIME=1m",
		"INVITED_INVITATION_MAX_LIFETIME=30d",
		"INVITED_INVITATION_MAX_AGE=2h",
		"INVITED_ONLY_STAFF_CAN_INVITE_USERS=true",
		"INVITED_VALIDATE_INVITATION_EMAIL=true",
		"INVITED_ENABLE_STRICT_CHECK_ACCEPTING_INVITATION=true",
		"INVITED_INVITATION_DISABLE_MULTIPLE_ROLES=true",
		"INVITED_ONLY_ONE_PROJECT_MANAGER=true",
		"INVITED_INVITATION_CREATE_MISSING_USER=true",
		"INVITED_INVITATION_ALLOWED_FIELDS=full_name, job_title",
		"INVITED_INVITATION_USE_WEBHOOKS=false",
		"INVITED_INVITATION_WEBHOOK_URL=https://hook.example.com/key",
		"INVITED_INVITATION_WEBHOOK_TOKEN_URL=https://sso.example.com/token",
		"INVITED_INVITATION_WEBHOOK_TOKEN_CLIENT_ID=client",
		"INVITED_INVITATION_WEBHOOK_TOKEN_SECRET=hush",
		"INVITED_INVITATION_WEBHOOK_SECRET=whsec_hush",
	)
	assert.Equal(t, want, got)
}

// Events are needed for as long as an invitation lives, and for as long as a limit looks back.
func TestEventsRetentionIsLongEnough(t *testing.T) {
	t.Parallel()
	for other, wrong := range map[string]string{
		"INVITED_INVITATION_LIFETIME=31d": "less than the 744h0m0s of INVITED_INVITATION_LIFETIME",
		"INVITED_LIMIT_INVITER=10/60d":    "less than the 1440h0m0s of INVITED_LIMIT_INVITER",
	} {
		_, err := config.Load([]string{"INVITED_EVENTS_RETENTION=30d", other})
		require.ErrorContains(t, err, "INVITED_EVENTS_RETENTION")
		require.ErrorContains(t, err, wrong)
		_, err = config.Load([]string{"INVITED_EVENTS_RETENTION=0", other})
		require.NoError(t, err)
	}
}

func TestProfileSetsDefaults(t *testing.T) {
	t.Parallel()

	want := load(t).Policy
	assert.Equal(t, want, load(t, "INVITED_PROFILE=waldur").Policy)

	want.InvitationLinkSecret, want.ValidateInvitationEmail = true, true
	want.RoleCeiling, want.RecheckInviter, want.RestrictAutoApprove = true, true, true
	want.InvitationMaxAge = 72 * time.Hour
	want.LimitRecipient = config.Limit{Count: 20, Per: 24 * time.Hour}
	want.LimitInviter = config.Limit{Count: 200, Per: time.Hour}
	secure := load(t, "INVITED_PROFILE=secure", "INVITED_ROLE_CEILING=")
	assert.Equal(t, want, secure.Policy)
	assert.Empty(t, secure.Unknown)

	want.RoleCeiling, want.InvitationMaxAge = false, time.Hour
	assert.Equal(t, want, load(t, "INVITED_PROFILE=secure", "INVITED_ROLE_CEILING=false", "INVITED_INVITATION_MAX_AGE=1h").Policy)
}

func TestLeavesOpen(t *testing.T) {
	t.Parallel()

	assert.Len(t, load(t).LeavesOpen(), 6)
	assert.Empty(t, load(t, "INVITED_PROFILE=secure").LeavesOpen())
	assert.Equal(t, []string{"who reads an invitation can accept it"},
		load(t, "INVITED_PROFILE=secure", "INVITED_INVITATION_LINK_SECRET=false").LeavesOpen())
}

func TestDerivedURLs(t *testing.T) {
	t.Parallel()

	for _, test := range []struct{ environ, public, frontend string }{
		{"INVITED_LISTEN_ADDR=:80", "http://127.0.0.1:80/", "http://127.0.0.1:80/"},
		{"INVITED_LISTEN_ADDR=0.0.0.0:8080", "http://127.0.0.1:8080/", "http://127.0.0.1:8080/"},
		{"INVITED_LISTEN_ADDR=[::]:8080", "http://127.0.0.1:8080/", "http://127.0.0.1:8080/"},
		{"INVITED_LISTEN_ADDR=[::1]:8080", "http://[::1]:8080/", "http://[::1]:8080/"},
		{"INVITED_LISTEN_ADDR=localhost:8080", "http://localhost:8080/", "http://localhost:8080/"},
		{"INVITED_PUBLIC_URL=https://X.example.com", "https://x.example.com/", "https://x.example.com/"},
		{"INVITED_PUBLIC_URL=https://x.example.com/a/b", "https://x.example.com/a/b/", "https://x.example.com/a/b/"},
		{"INVITED_FRONTEND_URL=https://x.example.com/a/", "http://127.0.0.1:8080/", "https://x.example.com/a/"},
		{"INVITED_FRONTEND_URL=https://München.example:8443", "http://127.0.0.1:8080/", "https://xn--mnchen-3ya.example:8443/"},
		{"INVITED_PUBLIC_URL=https://münchen.example/a", "https://xn--mnchen-3ya.example/a/", "https://xn--mnchen-3ya.example/a/"},
		{"INVITED_FRONTEND_URL=https://x.example.com/#/", "http://127.0.0.1:8080/", "https://x.example.com/#/"},
		{"INVITED_FRONTEND_URL=https://x.example.com/app#!/portal", "http://127.0.0.1:8080/", "https://x.example.com/app/#!/portal/"},
	} {
		t.Run(test.environ, func(t *testing.T) {
			t.Parallel()
			c := load(t, test.environ)
			assert.Equal(t, test.public, c.PublicURL.String())
			assert.Equal(t, test.frontend, c.FrontendURL.String())
		})
	}
}

func TestBoundPortReplacesZero(t *testing.T) {
	t.Parallel()

	addr := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4321}

	one := load(t, "INVITED_LISTEN_ADDR=127.0.0.1:0", "INVITED_FRONTEND_URL=https://portal.example.com/").Bound(addr)
	assert.Equal(t, "http://127.0.0.1:4321/", one.PublicURL.String())
	assert.Equal(t, "https://portal.example.com/", one.FrontendURL.String())

	both := load(t, "INVITED_LISTEN_ADDR=:0").Bound(addr)
	assert.Equal(t, "http://127.0.0.1:4321/", both.PublicURL.String())
	assert.Equal(t, "http://127.0.0.1:4321/", both.FrontendURL.String())

	explicit := load(t, "INVITED_LISTEN_ADDR=127.0.0.1:0", "INVITED_PUBLIC_URL=http://localhost:8080").Bound(addr)
	assert.Equal(t, "http://localhost:8080/", explicit.PublicURL.String())
}

func TestDatabaseURLs(t *testing.T) {
	t.Parallel()

	for _, test := range []struct{ url, path, shown string }{
		{"sqlite://data/invited.db", "data/invited.db", "sqlite://data/invited.db"},
		{"sqlite:///var/lib/invited.db", "/var/lib/invited.db", "sqlite:///var/lib/invited.db"},
		{"postgres://u:hush@db:5432/invited?password=hush", "", "postgres://db:5432/invited"},
		{"postgresql://db/invited", "", "postgres://db/invited"},
	} {
		t.Run(test.url, func(t *testing.T) {
			t.Parallel()
			got := load(t, "INVITED_DATABASE_URL="+test.url).Database
			assert.Equal(t, test.shown, got.String())
			assert.Equal(t, test.path, got.Path)
			if test.path == "" {
				assert.Equal(t, config.Postgres, got.Engine)
				assert.Equal(t, test.url, got.DSN.Reveal())
			} else {
				assert.Equal(t, config.SQLite, got.Engine)
			}
		})
	}
}

// The error names the variable and contains the text of the row. It never contains "hush", which stands where a value
// may have a secret.
func TestBadVariables(t *testing.T) {
	t.Parallel()

	tests := []struct{ variable, line string }{
		{"LISTEN_ADDR=8080", `"8080" is not HOST:PORT`},
		{"LISTEN_ADDR=localhost:http", "HOST:PORT"},
		{"LISTEN_ADDR=localhost:65536", "HOST:PORT"},
		{"DATABASE_URL=mysql://u:hush@db/x", "neither sqlite://PATH nor postgres://"},
		{"DATABASE_URL=data/invited.db", "neither sqlite://PATH nor postgres://"},
		{"DATABASE_URL=sqlite://", "path of a file"},
		{"DATABASE_URL=sqlite://data/", "path of a file"},
		{"DATABASE_URL=sqlite://data/x.db?mode=ro", "path of a file"},
		{"DATABASE_URL=sqlite://:memory:", "name a file"},
		{"DATABASE_URL=postgres://u:hu/hush@db/x", "percent code"},
		{"DATABASE_READ_URL=postgres://u:hush@standby/x", "only a PostgreSQL server has a standby"},
		{"DATABASE_READ_URL=sqlite://data/x.db", "only a PostgreSQL server has a standby"},
		{"PUBLIC_URL=example.com", "absolute http or https URL"},
		{"PUBLIC_URL=ftp://example.com", "absolute http or https URL"},
		{"PUBLIC_URL=https://", "absolute http or https URL"},
		{"PUBLIC_URL=https://:80", "absolute http or https URL"},
		{"PUBLIC_URL=https://u:hush@example.com", "user or a password"},
		{"PUBLIC_URL=https://example.com?key=hush", "must not contain a query"},
		{"PUBLIC_URL=https://example.com/#/", "must not contain a fragment"},
		{"PUBLIC_URL=https://exa\u00admple_\u00fc.example/", "no name of a host"},
		{"FRONTEND_URL=https://x.example/#", "nor a fragment other than #/"},
		{"FRONTEND_URL=https://x.example/#top", "nor a fragment other than #/"},
		{"FRONTEND_URL=https://x.example/?a#/", "must not contain a query"},
		{"FRONTEND_URL=/portal", "absolute http or https URL"},
		{"SECRET_KEY=hush", "openssl rand -base64 32"},
		{"SECRET_KEY=hush,0123456789abcdef0123456789abcdef", "comma"},
		{"SECRET_KEY_FALLBACKS=" + longKey + ",hush", "shorter than 32"},
		{"SMTP_URL=http://u:hush@mail", "smtps://"},
		{"SMTP_URL=smtps+insecure://u:hush@mail", "smtp+insecure://"},
		{"SMTP_URL=smtp://u:hu#sh@mail", "percent code"},
		{"SMTP_URL=smtp://u:hush@", "smtps://"},
		{"SMTP_URL=smtp://u:hush@mail/inbox", "smtps://"},
		{"SMTP_RATE=fast", `"fast" is not a number a second`},
		{"SMTP_RATE=-1", "number a second"},
		{"SMTP_RATE=1e9", "number a second"},
		{"SMTP_RATE=NaN", "number a second"},
		{"MAIL_REPLY_TO=everybody", `"everybody" is neither inviter nor none`},
		{"MAIL_FROM=Example Cloud", `"Example Cloud" is not an e-mail address`},
		{"EVENTS_WEBHOOK_URL=https://hook.example.com/hush", "INVITED_EVENTS_WEBHOOK_SECRET is empty"},
		{"EVENTS_WEBHOOK_SECRET=whsec_hush", "INVITED_EVENTS_WEBHOOK_URL is empty"},
		{"CORS_HEADERS=*", "is not the name of a header"},
		{"CORS_HEADERS=X-A,X B", "is not the name of a header"},
		{"INVITATION_LIFETIME=0d", "such as 168h, 30d"},
		{"INVITATION_LIFETIME=9999999d", "such as 168h, 30d"},
		{"INVITATION_LIFETIME=1.5d", "such as 168h, 30d"},
		{"INVITATION_MIN_LIFETIME=0s", "duration above zero"},
		{"INVITATION_MAX_LIFETIME=-1h", "duration above zero"},
		{"INVITATION_MIN_LIFETIME=366d", "8784h0m0s is more than INVITED_INVITATION_MAX_LIFETIME, which is 8760h0m0s"},
		{"CORS_ORIGINS=*", "list each origin"},
		{"CORS_ORIGINS=https://a.example.com,https://b.example.com/", `"https://b.example.com/" is not an origin`},
		{"CORS_ORIGINS=b.example.com", "is not an origin"},
		{"CORS_ORIGINS=https://*.example.com/x", "is not an origin"},
		{"CORS_ORIGINS=https://*.example.com", "is not an origin"},
		{"CORS_ORIGINS=https://*", "is not an origin"},
		{"CORS_ORIGINS=null", "is not an origin"},
		{"WORKERS=maybe", `"maybe" is neither true nor false`},
		{"SWEEP_INTERVAL=15", `"15" is not a duration above zero`},
		{"EVENTS_RETENTION=29d", `"29d" is neither a duration of 30d or more`},
		{"EVENTS_RETENTION=forever", "nor 0 for ever"},
		{"SWEEP_INTERVAL=0s", "duration above zero"},
		{"SHUTDOWN_DELAY=-1s", `"-1s" is not a duration`},
		{"SHUTDOWN_DELAY=5", `"5" is not a duration, such as 5s`},
		{"SWEEP_INTERVAL=999ms", "999ms is less than a second"},
		{"TRUSTED_PROXIES=10.0.0.1", `"10.0.0.1" is not a network`},
		{"LOG_LEVEL=loud", `"loud" is not debug, info, warn or error`},
		{"PAGES=2", "neither true nor false"},
		{"SIGNIN_CREATE_USERS=all", `"all" is none of invited, any, none`},
		{"OIDC_ISSUER=https://a.example", "INVITED_OIDC_CLIENT_ID is empty"},
		{"AUTH_PROXIES=10.0.0.1/32", "INVITED_AUTH_PROXY_SECRET is empty"},
		{"AUTH_PROXIES=10.0.0.1", `"10.0.0.1" is not a network`},
		{"AUTH_PROXY_SECRET=" + longKey, "INVITED_AUTH_PROXIES is empty"},
		{"AUTH_PROXY_HEADERS=a,b,c", "neither authelia nor oauth2-proxy nor four different names"},
		{"AUTH_PROXY_HEADERS=a,b,c,A", "four different names"},
		{"AUTH_PROXY_HEADERS=a,b,c,d e", "four different names"},
		{"OIDC_CLIENT_ID=x", "INVITED_OIDC_ISSUER is empty"},
		{"PROFILE=strict", `"strict" is neither waldur nor secure`},
		{"LIMIT_INVITATION=10", `"10" is not a limit, such as 10/1h`},
		{"LIMIT_INVITATION=0/1h", "is not a limit"},
		{"PROJECT_NAME_REGEX=(", `"(" is not a regular expression`},
		{"LIMIT_RECIPIENT=-1/1h", "is not a limit"},
		{"LIMIT_RECIPIENT=5/hour", "is not a limit"},
		{"LIMIT_UNKNOWN_KEYS=30", "is not a limit"},
		{"LIMIT_INVITER=1/2/1h", "is not a limit"},
		{"LOG_FORMAT=xml", `"xml" is neither text nor json`},
		{"INVITATION_LIFETIME=-1h", "duration above zero"},
		{"INVITATION_MAX_AGE=a week", "duration above zero"},
		{"ONLY_STAFF_CAN_INVITE_USERS=2", "neither true nor false"},
		{"VALIDATE_INVITATION_EMAIL=2", "neither true nor false"},
		{"ENABLE_STRICT_CHECK_ACCEPTING_INVITATION=2", "neither true nor false"},
		{"INVITATION_DISABLE_MULTIPLE_ROLES=2", "neither true nor false"},
		{"ONLY_ONE_PROJECT_MANAGER=2", "neither true nor false"},
		{"INVITATION_CREATE_MISSING_USER=2", "neither true nor false"},
		{"INVITATION_ALLOWED_FIELDS=full_name,email", `"email" is none of full_name, native_name`},
		{"INVITATION_USE_WEBHOOKS=2", "neither true nor false"},
		{"INVITATION_USE_WEBHOOKS=true", "INVITED_INVITATION_WEBHOOK_URL is empty"},
	}
	for _, test := range tests {
		t.Run(test.variable, func(t *testing.T) {
			t.Parallel()
			c, err := config.Load([]string{"INVITED_" + test.variable})
			require.Error(t, err)
			assert.Equal(t, config.Config{}, c)
			name, _, _ := strings.Cut(test.variable, "=")
			assert.True(t, strings.HasPrefix(err.Error(), "INVITED_"+name+": "), err.Error())
			assert.Contains(t, err.Error(), test.line)
			assert.NotContains(t, err.Error(), "hush")
			assert.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestAllBadVariablesAreReportedTogether(t *testing.T) {
	t.Parallel()

	_, err := config.Load([]string{
		"INVITED_WORKERS=maybe", "INVITED_LOG_FORMAT=a\nb", "INVITED_SMTP_URL=x", "INVITED_INVITATION_LIFETIME=x", "INVITED_CORS_ORIGINS=x,y",
	})
	require.Error(t, err)
	lines := strings.Split(err.Error(), "\n")
	assert.Len(t, lines, 6)
	for _, line := range lines {
		assert.True(t, strings.HasPrefix(line, "INVITED_"), line)
	}
}

func TestUnknownVariablesAreListed(t *testing.T) {
	t.Parallel()

	c := load(t, "INVITED_SMPT_URL=x", "INVITED_ALLOWED=y", "INVITED_TEST_POSTGRES_URL=z", "INVITED_WORKERS=true", "UNINVITED_X=1")
	assert.Equal(t, []string{"INVITED_ALLOWED", "INVITED_SMPT_URL"}, c.Unknown)
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	t.Parallel()

	hush := longKey + "hush"
	c := load(t, "INVITED_DATABASE_URL=postgres://u:hush@db/x", "INVITED_SMTP_URL=smtp://u:hush@mail", "INVITED_SECRET_KEY="+hush,
		"INVITED_SECRET_KEY_FALLBACKS="+hush, "INVITED_INVITATION_WEBHOOK_URL=https://hook/hush", "INVITED_INVITATION_WEBHOOK_TOKEN_URL=hush",
		"INVITED_INVITATION_WEBHOOK_TOKEN_SECRET=hush", "INVITED_INVITATION_WEBHOOK_SECRET=hush", "INVITED_OIDC_CLIENT_SECRET=hush",
		"INVITED_EVENTS_WEBHOOK_URL=https://hook/hush", "INVITED_EVENTS_WEBHOOK_SECRET=hush",
		"INVITED_TOKEN=hush")

	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb+"\n", c, c.SecretKey, &c.SecretKey)
	}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("config", "key", c.SecretKey, "all", c, "database", c.Database)
	}
	document, err := json.Marshal(c)
	require.NoError(t, err)
	out.Write(document)

	assert.NotContains(t, out.String(), "hush")
	assert.NotContains(t, out.String(), fmt.Sprintf("%x", "hush"))
	assert.NotContains(t, out.String(), fmt.Sprintf("%X", "hush"))
	assert.Contains(t, string(document), `"SecretKey":"[redacted]"`)
	assert.Equal(t, hush, c.SecretKey.Reveal())
}
