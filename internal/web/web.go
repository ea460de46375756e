package web

import (
	"context"
	"embed"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"invited/internal/bulk"
	"invited/internal/directory"
	"invited/internal/identity"
	"invited/internal/invitation"
	"invited/internal/joining"
	"invited/internal/signin"
)

// Config holds the parts that New builds the pages from. Every field but Providers and Demo must be set.
type Config struct {
	Invitations *invitation.Service
	Joining     *joining.Service
	Bulk        *bulk.Service
	Identity    *identity.Service
	Callers     *signin.Chain
	Providers   *signin.Providers // nil: people sign in by a code alone
	Directory   *directory.Reader
	PublicURL   *url.URL // the base of every link and redirect, ending in a slash
	SiteName    string
	Logger      *slog.Logger
	// Observe is called with each response: the page's method and path with the names of its variables, the status, and the time
	// that it took. nil: no calls.
	Observe  func(ctx context.Context, page string, status int, took time.Duration)
	ClientIP func(*http.Request) string
	Next     http.Handler // serves every path that has no page
	// SignsInByMail is whether people can sign in by a code in a mail.
	SignsInByMail bool
	Demo          *Demo // nil: there is no demonstration
	// Preview renders the mail of a message, as it would be sent.
	Preview func(*invitation.Message) (subject, text string, err error)
}

//go:embed templates
var files embed.FS

// pages has the handlers of all pages.
type pages struct {
	Config
	base      string // the path of PublicURL
	templates map[string]*template.Template
	places    places
}

// functions are those that templates call.
var functions = template.FuncMap{
	"date":         formatDate,
	"shortDate":    func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") },
	"day":          func(t time.Time) string { return t.UTC().Format("2 Jan 2006") },
	"clock":        func(t time.Time) string { return t.UTC().Format("15:04 UTC") },
	"machineDate":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"stateWord":    func(s invitation.State) string { return stateWords[s] },
	"deliveryWord": func(s invitation.ExecutionState) string { return deliveryWords[s] },
	"roleTitle":    roleTitle,
	"number":       number,
}

// New returns the pages as a handler. It returns an error only where a template is broken.
func New(c Config) (http.Handler, error) {
	p := &pages{
		Config: c, base: c.PublicURL.Path, templates: map[string]*template.Template{},
		places: places{all: semaphore.NewWeighted(tablePlaces)},
	}
	for _, name := range []string{
		"links", "link", "link-form", "join-requests",
		"home", "sign-in", "code", "invitation", "review", "message", "refused", "go-on", "signed-out", "list", "one", "choose", "new", "results", "requests", "demo",
		"account", "token", "join", "join-sign-in", "many", "many-check", "many-one",
	} {
		set, err := template.New("").Funcs(functions).
			ParseFS(files, "templates/layout.html", "templates/parts.html", "templates/"+name+".html")
		if err != nil {
			return nil, fmt.Errorf("the page %s: %w", name, err)
		}
		p.templates[name] = set
	}
	mux := http.NewServeMux()
	handlers := map[string]func(*request) error{
		"GET /{$}":                             p.home,
		"GET /sign-in/{$}":                     p.askAddress,
		"POST /sign-in/{$}":                    p.requestCode,
		"GET /sign-in/code/{$}":                p.askCode,
		"POST /sign-in/code/{$}":               p.redeemCode,
		"GET /sign-in/{issuer}/{$}":            p.begin,
		"GET /sign-in/{issuer}/callback/{$}":   p.comeBack,
		"POST /sign-out/{$}":                   p.signOut,
		"GET /signed-out/{$}":                  p.signedOut,
		"GET /invitation/{link}/{$}":           p.invitation,
		"POST /invitation/{link}/accept/{$}":   p.accept,
		"GET /console/{$}":                     signedIn(p.list),
		"GET /console/new/{$}":                 signedIn(p.askNew),
		"POST /console/new/{$}":                signedIn(p.create),
		"GET /console/{uuid}/{$}":              signedIn(p.one),
		"POST /console/act/{$}":                signedIn(p.bulk),
		"POST /console/{uuid}/send/{$}":        signedIn(p.send),
		"POST /console/{uuid}/cancel/{$}":      signedIn(p.cancel),
		"GET /account/{$}":                     signedIn(p.account),
		"POST /account/tokens/{$}":             signedIn(p.makeToken),
		"POST /account/revoke/{$}":             signedIn(p.revokeToken),
		"POST /account/sign-out/{$}":           signedIn(p.endSession),
		"GET /invitation_approve/{token}/{$}":  p.askApprove,
		"POST /invitation_approve/{token}/{$}": p.approve,
		"GET /invitation_reject/{token}/{$}":   p.askReject,
		"POST /invitation_reject/{token}/{$}":  p.reject,

		"POST /invitation/{link}/decline/{$}":      p.decline,
		"POST /invitation/{link}/undo-decline/{$}": p.undoDecline,
		"POST /invitation/{link}/ask-again/{$}":    p.askAgain,

		"GET /user-group-invitation/{uuid}/{$}":  p.joinLink,
		"POST /user-group-invitation/{uuid}/{$}": p.join,
		"POST /requests/{uuid}/take-back/{$}":    p.takeBack,

		"GET /organizations/{uuid}/group-invitations/{$}": p.joinRequestsOf,

		"GET /console/requests/{$}":                 signedIn(p.requests),
		"POST /console/requests/{uuid}/approve/{$}": signedIn(p.approveRequest),
		"POST /console/requests/{uuid}/reject/{$}":  signedIn(p.rejectRequest),

		"GET /console/bulk/{$}":                signedIn(p.askMany),
		"POST /console/bulk/{$}":               signedIn(p.checkMany),
		"GET /console/bulk/{uuid}/{$}":         signedIn(p.oneMany),
		"GET /console/bulk/{uuid}/rest/{$}":    signedIn(p.restOfMany),
		"GET /console/bulk/{uuid}/csv/{$}":     signedIn(p.downloadMany),
		"POST /console/bulk/{uuid}/cancel/{$}": signedIn(p.cancelMany),

		"GET /console/links/{$}":                         signedIn(p.links),
		"GET /console/links/new/{$}":                     signedIn(p.askNewLink),
		"POST /console/links/new/{$}":                    signedIn(p.createLink),
		"GET /console/links/{uuid}/{$}":                  signedIn(p.link),
		"GET /console/links/{uuid}/edit/{$}":             signedIn(p.askEditLink),
		"POST /console/links/{uuid}/edit/{$}":            signedIn(p.saveLink),
		"POST /console/links/{uuid}/cancel/{$}":          signedIn(p.cancelLink),
		"POST /console/links/{uuid}/delete/{$}":          signedIn(p.deleteLink),
		"GET /console/join-requests/{$}":                 signedIn(p.joinRequests),
		"POST /console/join-requests/{uuid}/approve/{$}": signedIn(p.approveJoin),
		"POST /console/join-requests/{uuid}/reject/{$}":  signedIn(p.rejectJoin),
	}
	if !c.SignsInByMail {
		for _, pattern := range []string{"POST /sign-in/{$}", "GET /sign-in/code/{$}", "POST /sign-in/code/{$}"} {
			delete(handlers, pattern)
		}
	}
	if c.Demo != nil {
		handlers["GET /demo/{$}"], handlers["POST /demo/be/{username}/{$}"] = p.demo, p.be
	}
	for pattern, handle := range handlers {
		mux.Handle(pattern, p.serve(handle))
	}
	for _, name := range assets {
		mux.Handle("GET /"+name, asset(name))
	}
	mux.Handle("/", c.Next)
	return p.withoutRedirects(mux), nil
}

// withoutRedirects keeps requests from the multiplexer that it would redirect: its redirects know nothing of the path of the
// public URL. A page's path without the slash at its end, which mail programs lose, is redirected here. What the multiplexer
// would clean is no page.
func (p *pages) withoutRedirects(mux *http.ServeMux) http.Handler {
	addSlash := p.serve(func(r *request) error {
		to := p.base + strings.TrimPrefix(r.URL.EscapedPath()+"/", "/")
		if r.URL.RawQuery != "" {
			to += "?" + r.URL.RawQuery
		}
		http.Redirect(r.w, r.Request, to, http.StatusPermanentRedirect)
		return nil
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		switch {
		case strings.Contains(path, "//") || strings.Contains(path, "/."):
			p.Next.ServeHTTP(w, r)
			return
		case strings.HasSuffix(path, "/") || slices.Contains(assets, strings.TrimPrefix(path, "/")):
			mux.ServeHTTP(w, r)
			return
		}
		complete := r.Clone(r.Context())
		complete.URL.Path += "/"
		if _, pattern := mux.Handler(complete); pattern == "/" || (r.Method != http.MethodGet && r.Method != http.MethodHead) {
			p.Next.ServeHTTP(w, r)
			return
		}
		addSlash.ServeHTTP(w, r)
	})
}

// assets are the files that pages load.
var assets = []string{"pages.css", "pages.js"}

func asset(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=3600")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		http.ServeFileFS(w, r, files, "templates/"+name)
	})
}

// isSecure reports whether browsers reach the server by https.
func (p *pages) isSecure() bool { return strings.EqualFold(p.PublicURL.Scheme, "https") }
