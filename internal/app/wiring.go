package app

import (
	"errors"
	"fmt"
	"net/http"
	netmail "net/mail"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"invited/internal/api"
	"invited/internal/bulk"
	"invited/internal/config"
	"invited/internal/directory"
	"invited/internal/idempotency"
	"invited/internal/identity"
	"invited/internal/invitation"
	"invited/internal/jobs"
	"invited/internal/joining"
	"invited/internal/lifecycle"
	"invited/internal/mail"
	"invited/internal/signin"
	"invited/internal/token"
	"invited/internal/web"
	"invited/internal/webhook"
)

func (a *App) newService() (*invitation.Service, error) {
	if err := checkSecretFile(a.config); err != nil {
		return nil, err
	}
	secret, err := a.config.LoadSecret()
	if err != nil {
		return nil, err
	}
	fallbacks := make([]string, 0, len(a.config.SecretKeyFallbacks))
	for _, key := range a.config.SecretKeyFallbacks {
		fallbacks = append(fallbacks, key.Reveal())
	}
	policy := a.config.Policy
	return &invitation.Service{
		Store: a.db.Invitations(),
		Policy: invitation.Policy{
			Lifetime:             policy.InvitationLifetime,
			MinLifetime:          policy.InvitationMinLifetime,
			MaxLifetime:          policy.InvitationMaxLifetime,
			MaxAge:               policy.InvitationMaxAge,
			OnlyStaffCanInvite:   policy.OnlyStaffCanInviteUsers,
			ValidateEmail:        policy.ValidateInvitationEmail,
			StrictCheck:          policy.EnableStrictCheckAcceptingInvitation,
			DisableMultipleRoles: policy.InvitationDisableMultipleRoles,
			OneProjectManager:    policy.OnlyOneProjectManager,
			CreateMissingUser:    policy.InvitationCreateMissingUser,
			LinkSecret:           policy.InvitationLinkSecret,
			RoleCeiling:          policy.RoleCeiling,
			RecheckInviter:       policy.RecheckInviter,
			LimitInvitation:      invitation.Limit(policy.LimitInvitation),
			LimitRecipient:       invitation.Limit(policy.LimitRecipient),
			LimitInviter:         invitation.Limit(policy.LimitInviter),
			NotifyAccepted:       policy.NotifyAccepted,
			RequestMailInterval:  policy.RequestMailInterval,
			UseWebhooks:          policy.InvitationUseWebhooks,
			AllowedFields:        policy.InvitationAllowedFields,
		},
		Signer:      token.NewSigner(secret.Reveal(), fallbacks...),
		FrontendURL: a.config.FrontendURL.String(),
		Logger:      a.logger,
		Limits:      a.metrics.Refused,
		Swept:       a.metrics.Swept,
	}, nil
}

// newJoining returns the use cases of group invitations.
func (a *App) newJoining() *joining.Service {
	policy := a.config.Policy
	return &joining.Service{
		Store: a.db.Joining(),
		Policy: joining.Policy{
			DisableMultipleRoles: policy.InvitationDisableMultipleRoles,
			OneProjectManager:    policy.OnlyOneProjectManager,
			RoleCeiling:          policy.RoleCeiling,
			RecheckInviter:       policy.RecheckInviter,
			RestrictAutoApprove:  policy.RestrictAutoApprove,
			ProjectName:          policy.ProjectNameRegex.Regexp(),
			LimitRequests:        joining.Limit(policy.LimitInvitation),
			LimitUser:            joining.Limit(policy.LimitInviter),
			LimitRecipient:       joining.Limit(policy.LimitRecipient),
			RequestMailInterval:  policy.RequestMailInterval,
		},
		FrontendURL: a.config.FrontendURL.String(),
		Limits:      a.metrics.Refused,
	}
}

// newLifecycle returns the use cases of the feed and the webhook of events.
func (a *App) newLifecycle() *lifecycle.Service {
	return &lifecycle.Service{Store: a.db.Lifecycle(), Retention: time.Duration(a.config.EventsRetention)}
}

// newBulk returns the use cases of bulk invitations.
func (a *App) newBulk(service *invitation.Service) *bulk.Service {
	return &bulk.Service{Store: a.db.Bulk(), Invitations: service}
}

// newIdentity returns the use cases of signing in.
func (a *App) newIdentity(service *invitation.Service) *identity.Service {
	return &identity.Service{
		Store:    a.db.Identities(),
		Signer:   service.Signer,
		Create:   identity.CreateUsers(a.config.SignInCreateUsers),
		Lifetime: service.Policy.Lifetime,
		Limits:   a.metrics.Refused,
		SignIns:  a.metrics.SignIn,
	}
}

// newHandler returns the API and, unless the configuration turns them off, the pages.
func (a *App) newHandler(service *invitation.Service) (handler http.Handler, err error) {
	if a.providers, err = a.newProviders(); err != nil {
		return nil, err
	}
	callers, err := a.newCallers(service)
	if err != nil {
		return nil, err
	}
	handler, err = a.newAPI(service, callers)
	if err != nil || !a.config.Pages {
		return handler, err
	}
	var demo *web.Demo
	if a.demo != nil {
		demo = a.demo.pages(a.config)
	}
	renderer, err := newRenderer(a.config)
	if err != nil {
		return nil, err
	}
	return web.New(web.Config{
		Demo:          demo,
		SignsInByMail: a.config.SignInEmail,
		Preview: func(m *invitation.Message) (subject, text string, err error) {
			rendered, err := jobs.Render(renderer, mailSettings(a.config), m, m.Invitation.Created)
			return rendered.Subject, rendered.Text, err
		},
		Invitations: service,
		Joining:     a.newJoining(),
		Bulk:        a.newBulk(service),
		Identity:    callers.Identity,
		Callers:     callers,
		Providers:   a.providers,
		Directory:   &directory.Reader{Store: a.db.ReadStore()},
		PublicURL:   a.config.PublicURL,
		SiteName:    a.config.SiteName,
		Logger:      a.logger,
		Observe:     a.observeRequest,
		ClientIP:    api.ClientIP(a.config.TrustedProxies),
		Next:        handler,
	})
}

// newCallers returns how requests are authenticated.
func (a *App) newCallers(service *invitation.Service) (*signin.Chain, error) {
	public := a.config.PublicURL
	return signin.NewChain(signin.ChainConfig{
		Tokens:      a.db,
		TokenUses:   a.tokenUses,
		UnknownKeys: signin.Limit(a.config.LimitUnknownKeys),
		Identity:    a.newIdentity(service),
		Providers:   a.providers,
		Proxy:       newProxy(a.config),
		Origin:      public.Scheme + "://" + public.Host,
		ClientIP:    api.ClientIP(a.config.TrustedProxies),
		Logger:      a.logger,
	})
}

// newProxy returns the proxy whose word about people is believed; nil where there is none.
func newProxy(c config.Config) *signin.Proxy {
	if len(c.AuthProxies) == 0 {
		return nil
	}
	return &signin.Proxy{
		Networks: c.AuthProxies, Secret: c.AuthProxySecret.Reveal(), Headers: signin.ProxyHeaders(c.AuthProxyHeaders),
		StaffGroups: c.AuthProxyStaffGroups,
	}
}

func (a *App) newAPI(service *invitation.Service, callers *signin.Chain) (http.Handler, error) {
	return api.New(api.Config{
		Service:        service,
		Joining:        a.newJoining(),
		Bulk:           a.newBulk(service),
		Lifecycle:      a.newLifecycle(),
		Directory:      &directory.Reader{Store: a.db.ReadStore()},
		Callers:        callers,
		Idempotency:    &idempotency.Service{Store: a.db.Idempotency(), Signer: service.Signer, Limits: a.metrics.Refused},
		SiteName:       a.config.SiteName,
		SignsInByMail:  a.config.Pages && a.config.SignInEmail,
		PublicURL:      a.config.PublicURL.String(),
		Logger:         a.logger,
		Observe:        a.observeRequest,
		TrustedProxies: a.config.TrustedProxies,
		CORSOrigins:    a.config.CORSOrigins,
		CORSHeaders:    a.config.CORSHeaders,
		Ready:          a.readiness,
	})
}

func (a *App) newWorkers(service *invitation.Service) (*jobs.Workers, error) {
	renderer, err := newRenderer(a.config)
	if err != nil {
		return nil, err
	}
	webhookClient, err := newWebhookClient(a.config)
	if err != nil {
		return nil, err
	}
	eventsWebhook, err := newEventsWebhookClient(a.config)
	if err != nil {
		return nil, err
	}
	transport, err := newTransport(a.config) // last: it may make a folder
	if err != nil {
		return nil, err
	}
	if smtp, ok := transport.(*mail.SMTP); ok && smtp.InTheClear() {
		a.logger.Warn("INVITED_SMTP_URL is smtp+insecure://: mails, their links and the password are sent in the clear")
	}
	return jobs.New(jobs.Config{
		Queue:       a.db.QueueDriver(),
		Now:         a.db.Now,
		Service:     service,
		Joining:     a.newJoining(),
		Bulk:        a.newBulk(service),
		Identity:    a.newIdentity(service),
		Idempotency: &idempotency.Service{Store: a.db.Idempotency(), Signer: service.Signer},
		Lifecycle:   a.newLifecycle(),
		Renderer:    renderer,
		Transport:   transport,
		Webhook:     webhookClient,
		Mails:       mailSettings(a.config),
		Sweep:       a.config.SweepInterval,
		Logger:      a.logger,
		Observe:     a.metrics.Job,
		Tracer:      a.options.Tracer,

		MailInterval:  a.config.SMTPRate.Interval(),
		EventsWebhook: eventsWebhook,
	})
}

func newRenderer(c config.Config) (*mail.Renderer, error) {
	renderer, err := mail.NewRenderer(c.SiteName, c.TemplatesDir)
	if err != nil {
		return nil, fmt.Errorf("INVITED_TEMPLATES_DIR: %w", err)
	}
	return renderer, nil
}

func mailSettings(c config.Config) jobs.MailSettings {
	settings := jobs.MailSettings{Host: messageIDHost(c.MailFrom), ReplyToInviter: c.MailReplyTo == config.ReplyToInviter}
	if !settings.ReplyToInviter && c.MailReplyTo != config.ReplyToNone {
		settings.ReplyTo = c.MailReplyTo
	}
	return settings
}

// newTransport returns the client of the mail server or, where INVITED_SMTP_URL is empty, the mail folder.
func newTransport(c config.Config) (mail.Transport, error) {
	from := c.MailFrom.String()
	if err := mail.CheckSender(from); err != nil {
		return nil, fmt.Errorf("INVITED_MAIL_FROM: %w", err)
	}
	if to := c.MailReplyTo; to != config.ReplyToInviter && to != config.ReplyToNone {
		if mail.CheckSender(to) != nil {
			return nil, fmt.Errorf(`INVITED_MAIL_REPLY_TO: %q is not an address that mails can go to, such as "Help <help@example.com>"`, to)
		}
	}
	if address := c.SMTPURL.Reveal(); address != "" {
		smtp, err := mail.NewSMTP(address, from)
		if err != nil {
			return nil, fmt.Errorf("INVITED_SMTP_URL: %w", err)
		}
		if c.SMTPHelo != "" {
			if err := smtp.SetHELO(c.SMTPHelo); err != nil {
				return nil, fmt.Errorf("INVITED_SMTP_HELO: %w", err)
			}
		}
		roots, err := c.SMTPRoots()
		if err != nil {
			return nil, err
		}
		smtp.SetRoots(roots)
		return smtp, nil
	}
	if err := checkMailDir(c); err != nil {
		return nil, err
	}
	folder, err := mail.NewFolder(c.MailDir, from)
	if err != nil {
		return nil, fmt.Errorf("INVITED_MAIL_DIR: %w", err)
	}
	return folder, nil
}

// newWebhookClient returns nil where invitations into projects are delivered by mail.
func newWebhookClient(c config.Config) (*webhook.Client, error) {
	if !c.InvitationUseWebhooks {
		return nil, nil
	}
	client, err := webhook.New(webhook.Config{
		URL:          c.InvitationWebhookURL.Reveal(),
		TokenURL:     c.InvitationWebhookTokenURL.Reveal(),
		ClientID:     c.InvitationWebhookTokenClientID,
		ClientSecret: c.InvitationWebhookTokenSecret.Reveal(),
		Secret:       c.InvitationWebhookSecret.Reveal(),
	})
	if err != nil {
		return nil, errors.New(webhookVariables.Replace(err.Error()))
	}
	return client, nil
}

// webhookVariables replaces the webhook package's names of settings by the variables that an operator sets.
var webhookVariables = strings.NewReplacer(
	webhook.SettingURL, "INVITED_INVITATION_WEBHOOK_URL",
	webhook.SettingTokenURL, "INVITED_INVITATION_WEBHOOK_TOKEN_URL",
	webhook.SettingClientID, "INVITED_INVITATION_WEBHOOK_TOKEN_CLIENT_ID",
	webhook.SettingClientSecret, "INVITED_INVITATION_WEBHOOK_TOKEN_SECRET",
	webhook.SettingSecret, "INVITED_INVITATION_WEBHOOK_SECRET",
)

// newEventsWebhookClient returns nil where events are sent nowhere.
func newEventsWebhookClient(c config.Config) (*webhook.Client, error) {
	if c.EventsWebhookURL == "" {
		return nil, nil
	}
	client, err := webhook.New(webhook.Config{URL: c.EventsWebhookURL.Reveal(), Secret: c.EventsWebhookSecret.Reveal()})
	if err != nil {
		return nil, errors.New(eventsWebhookVariables.Replace(err.Error()))
	}
	return client, nil
}

var eventsWebhookVariables = strings.NewReplacer(
	webhook.SettingURL, "INVITED_EVENTS_WEBHOOK_URL",
	webhook.SettingSecret, "INVITED_EVENTS_WEBHOOK_SECRET",
)

// messageIDHost returns the domain of an address in ASCII, as the right side of a Message-ID needs it.
func messageIDHost(address netmail.Address) string {
	domain := address.Address[strings.LastIndexByte(address.Address, '@')+1:]
	if ascii, err := idna.Lookup.ToASCII(domain); err == nil {
		return ascii
	}
	return domain
}
