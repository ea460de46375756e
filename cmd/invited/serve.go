package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/mail"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/net/idna"

	"invited/internal/api"
	"invited/internal/config"
	"invited/internal/directory"
	"invited/internal/invitation"
	"invited/internal/jobs"
	post "invited/internal/mail"
	"invited/internal/store"
	"invited/internal/token"
	"invited/internal/webhook"
)

// Times that a connection may take. The answer to a request that ran into its own deadline must still get out.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = readTimeout + api.RequestTimeout + 5*time.Second // counted from the end of the header
	idleTimeout       = 2 * time.Minute
	// shutdownTimeout bounds each of the two parts of an orderly end: requests, then jobs.
	shutdownTimeout = 30 * time.Second
	maxHeader       = 64 << 10 // bytes
)

// garbagePercent is how much garbage there may be beside what lives, where GOGC doesn't say. Little lives, and at Go's own
// 100 to look for garbage would take an eighth of all processor time.
const garbagePercent = 400

func (p process) serve() *cobra.Command {
	var migrate, demo bool
	c := leaf("serve", "Serve the API and do the background work",
		`Serves the API, and does the background work unless INVITED_WORKERS=false. Migrates the database first unless
--migrate=false. Ends in good order on SIGTERM or SIGINT: requests and jobs that run are finished. Before that it says on
/readyz that it is leaving, and serves for INVITED_SHUTDOWN_DELAY, which a second signal ends.`,
		func(ctx context.Context) error {
			c, err := p.config()
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(p.environ, func(each string) bool { return strings.HasPrefix(each, "GOGC=") }) {
				debug.SetGCPercent(garbagePercent)
			}
			s := &server{process: p, config: c, logger: p.logger(c), migrate: migrate}
			if demo {
				s.demo = &demonstration{}
			}
			return explained(c, s.run(ctx))
		})
	c.Flags().BoolVar(&migrate, "migrate", true, "migrate the database before serving")
	c.Flags().BoolVar(&demo, "demo", false, "load a demo directory, and print requests to try with it")
	return c
}

func (p process) logger(c config.Config) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(p.stderr, options))
	}
	return slog.New(slog.NewTextHandler(p.stderr, options))
}

// server is the whole program while it serves.
type server struct {
	process
	config  config.Config
	logger  *slog.Logger
	migrate bool
	demo    *demonstration // nil: none

	db      *store.Store
	workers *jobs.Workers // nil: none in this process
	leaving atomic.Bool   // it was told to end
}

// run serves until ctx ends, and then brings everything to an end: first the requests, then the jobs, then the
// database.
func (s *server) run(ctx context.Context) (err error) {
	if s.demo != nil {
		if err := s.demo.allow(&s.config); err != nil {
			return err
		}
	}
	// What can be wrong without the database is found out before anything is written to it.
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.config.ListenAddr)
	if err != nil {
		return fmt.Errorf("can't listen on INVITED_LISTEN_ADDR: %w", err)
	}
	defer func() { _ = listener.Close() }()
	s.config = s.config.Bound(listener.Addr()) // the port may have been 0
	if s.db, err = s.open(s.config); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.db.Close()) }()
	service, err := s.service()
	if err != nil {
		return err
	}
	handler, err := s.handler(service)
	if err != nil {
		return err
	}
	if s.config.Workers {
		if s.workers, err = s.newWorkers(service); err != nil {
			return err
		}
	}
	if err := s.prepare(ctx, service); err != nil {
		return err
	}
	if s.workers != nil {
		if err := s.workers.Start(ctx); err != nil {
			return err
		}
	}
	return s.serveUntil(ctx, listener, handler)
}

// prepare brings the database to the state that serving needs.
func (s *server) prepare(ctx context.Context, service *invitation.Service) error {
	if s.migrate {
		applied, err := s.db.Migrate(ctx)
		if err != nil {
			return err
		}
		for _, each := range applied {
			s.logger.InfoContext(ctx, "migrated", "version", each.Version, "name", each.Name)
		}
	}
	if err := current(ctx, s.db); err != nil {
		return err
	}
	if s.demo != nil {
		return s.demo.load(ctx, s.db, service)
	}
	return nil
}

func (s *server) service() (*invitation.Service, error) {
	secret, err := s.config.LoadSecret()
	if err != nil {
		return nil, err
	}
	fallbacks := make([]string, 0, len(s.config.SecretKeyFallbacks))
	for _, each := range s.config.SecretKeyFallbacks {
		fallbacks = append(fallbacks, each.Reveal())
	}
	policy := s.config.Policy
	return &invitation.Service{
		Store: s.db.Invitations(),
		Policy: invitation.Policy{
			Lifetime:             policy.InvitationLifetime,
			MaxAge:               policy.InvitationMaxAge,
			OnlyStaffCanInvite:   policy.OnlyStaffCanInviteUsers,
			ValidateEmail:        policy.ValidateInvitationEmail,
			StrictCheck:          policy.EnableStrictCheckAcceptingInvitation,
			DisableMultipleRoles: policy.InvitationDisableMultipleRoles,
			OneProjectManager:    policy.OnlyOneProjectManager,
			CreateMissingUser:    policy.InvitationCreateMissingUser,
			UseWebhooks:          policy.InvitationUseWebhooks,
			AllowedFields:        policy.InvitationAllowedFields,
		},
		Signer:      token.NewSigner(secret.Reveal(), fallbacks...),
		FrontendURL: s.config.FrontendURL.String(),
	}, nil
}

func (s *server) handler(service *invitation.Service) (http.Handler, error) {
	return api.New(api.Config{
		Service:        service,
		Directory:      &directory.Reader{Store: s.db.ReadStore()},
		Authenticator:  s.db,
		PublicURL:      s.config.PublicURL.String(),
		Logger:         s.logger,
		TrustedProxies: s.config.TrustedProxies,
		CORSOrigins:    s.config.CORSOrigins,
		Ready:          s.ready,
	})
}

func (s *server) newWorkers(service *invitation.Service) (*jobs.Workers, error) {
	renderer, err := renderer(s.config)
	if err != nil {
		return nil, err
	}
	hook, err := s.webhook()
	if err != nil {
		return nil, err
	}
	transport, err := s.transport() // last: it may make a folder
	if err != nil {
		return nil, err
	}
	return jobs.New(jobs.Config{
		Queue:     s.db.Queue(),
		Now:       s.db.Now,
		Service:   service,
		Renderer:  renderer,
		Transport: transport,
		Webhook:   hook,
		MailHost:  domain(s.config.MailFrom),
		Sweep:     s.config.SweepInterval,
		Logger:    s.logger,
	})
}

func renderer(c config.Config) (*post.Renderer, error) {
	made, err := post.NewRenderer(c.SiteName, c.TemplatesDir)
	if err != nil {
		return nil, fmt.Errorf("INVITED_TEMPLATES_DIR: %w", err)
	}
	return made, nil
}

// transport is the mail server or, where there is none, the mail folder.
func (s *server) transport() (made post.Transport, err error) {
	from := s.config.MailFrom.String()
	if err := post.CheckSender(from); err != nil {
		return nil, fmt.Errorf("INVITED_MAIL_FROM: %w", err)
	}
	if address := s.config.SMTPURL.Reveal(); address != "" {
		if made, err = post.NewSMTP(address, from); err != nil {
			return nil, fmt.Errorf("INVITED_SMTP_URL: %w", err)
		}
	} else if made, err = post.NewFolder(s.config.MailDir, from); err != nil {
		return nil, fmt.Errorf("INVITED_MAIL_DIR: %w", err)
	}
	return made, nil
}

// webhook is nil where invitations into projects go by mail.
func (s *server) webhook() (*webhook.Client, error) {
	c := s.config.Policy
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

// webhookVariables are the settings by the names under which an operator knows them.
var webhookVariables = strings.NewReplacer(
	webhook.SettingURL, "INVITED_INVITATION_WEBHOOK_URL",
	webhook.SettingTokenURL, "INVITED_INVITATION_WEBHOOK_TOKEN_URL",
	webhook.SettingClientID, "INVITED_INVITATION_WEBHOOK_TOKEN_CLIENT_ID",
	webhook.SettingClientSecret, "INVITED_INVITATION_WEBHOOK_TOKEN_SECRET",
	webhook.SettingSecret, "INVITED_INVITATION_WEBHOOK_SECRET",
)

// domain is what stands right of the @ in an address, in ASCII, as a Message-ID needs it.
func domain(address mail.Address) string {
	name := address.Address[strings.LastIndexByte(address.Address, '@')+1:]
	if ascii, err := idna.Lookup.ToASCII(name); err == nil {
		return ascii
	}
	return name
}

// ready names what the server needs to do its work, and what is wrong with each.
func (s *server) ready(ctx context.Context) map[string]error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	checks := map[string]error{"database": s.db.Ping(ctx), "schema": current(ctx, s.db)}
	if s.leaving.Load() {
		checks["shutdown"] = errLeaving
	}
	if s.workers != nil {
		checks["workers"] = s.workers.Running()
		for what, reason := range s.workers.Troubles() {
			checks[what] = nil
			if reason != "" {
				checks[what] = api.Trouble(reason)
			}
		}
	}
	return checks
}

// newWeb is a web server whose every wait has an end.
func newWeb(handler http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}

func (s *server) serveUntil(ctx context.Context, listener net.Listener, handler http.Handler) error {
	web := newWeb(s.lastOne(handler), s.logger)
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(listener) }()
	s.logger.InfoContext(ctx, "serving", "version", version, "url", s.config.PublicURL.String(),
		"address", listener.Addr().String(), "database", s.config.Database.String(), "workers", s.config.Workers)
	if s.demo != nil {
		s.demo.show(s.stdout, s.config)
	}
	var err error
	select {
	case <-ctx.Done():
		s.leave()
	case err = <-failed:
	}
	s.logger.Info("shutting down: finishing requests and jobs")
	return errors.Join(err, s.end("requests", web.Shutdown), s.end("jobs", func(ctx context.Context) error {
		if s.workers == nil {
			return nil
		}
		return s.workers.Stop(ctx)
	}))
}

// end gives one part of the program its time to finish.
func (s *server) end(what string, stop func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if err := stop(ctx); err != nil {
		return fmt.Errorf("ending %s: %w", what, err)
	}
	return nil
}
