package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
	"invited/internal/joining"
	"invited/internal/signin"
)

const (
	// maxForm is the size of the largest form, in bytes.
	maxForm = 16 << 10
	// maxTextForm is maxForm of pages whose forms have a long text: a character can take twelve bytes.
	maxTextForm = 64 << 10
	// requestTimeout is the time limit of a page, its database statements included.
	requestTimeout = 20 * time.Second
)

// A request is one request for a page.
type request struct {
	*http.Request
	w    http.ResponseWriter
	user *signin.Caller // nil: nobody is signed in
	page *pages
	// tooLarge: the form has more than maxTableForm bytes, and was not read.
	tooLarge bool
	// givePlace and endPlace give up the place of the request; nil: it has none. See places.take.
	givePlace, endPlace func()
}

// requestIDPattern matches the request ids of clients and gateways that are kept. Package api has the same rule.
var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// pageHeaders are on every page: no page is cached, framed, sniffed or indexed, and none loads anything from another
// server.
var pageHeaders = map[string]string{
	"Cache-Control":              "no-store",
	"Content-Security-Policy":    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
	"Cross-Origin-Opener-Policy": "same-origin",
	"X-Content-Type-Options":     "nosniff",
	"X-Robots-Tag":               "noindex",
	"Referrer-Policy":            "same-origin",
}

// scriptPolicy is added to the Content-Security-Policy of the console, which has a script.
const scriptPolicy = "; script-src 'self'; connect-src 'self'"

// isConsole reports whether a path is of the console.
func isConsole(path string) bool { return strings.HasPrefix(path, "/console/") }

// serve returns the handler of a page.
func (p *pages) serve(handle func(*request) error) http.Handler {
	return limitTime(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		for name, value := range pageHeaders {
			w.Header().Set(name, value)
		}
		if secretPath.MatchString(r.URL.Path) {
			w.Header().Set("Referrer-Policy", "no-referrer")
		}
		if isConsole(r.URL.Path) {
			w.Header().Set("Content-Security-Policy", pageHeaders["Content-Security-Policy"]+scriptPolicy)
		}
		id := r.Header.Get("X-Request-ID")
		if !requestIDPattern.MatchString(id) {
			id = uuid.NewString()
		}
		w.Header().Set("X-Request-ID", id)
		recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		req := &request{Request: r.WithContext(invitation.WithRequestID(r.Context(), id)), w: recorder, page: p}
		if err := req.handle(handle); err != nil { //nolint:contextcheck // a request has its context
			req.fail(err) //nolint:contextcheck // a request has its context
		}
		took := time.Since(start)
		attributes := []slog.Attr{
			slog.String("request_id", id), slog.String("method", r.Method), slog.String("path", loggedPath(r.URL.Path)),
			slog.Int("status", recorder.status), slog.Float64("took_ms", milliseconds(took)), slog.String("client", p.ClientIP(r)),
		}
		if req.user != nil {
			attributes = append(attributes, slog.String("user", req.user.Username))
		}
		if p.Observe != nil {
			p.Observe(req.Context(), strings.TrimSuffix(r.Pattern, "{$}"), recorder.status, took) //nolint:contextcheck // a request has its context
		}
		level := slog.LevelInfo
		if recorder.status >= http.StatusInternalServerError {
			level = slog.LevelError
		}
		p.Logger.LogAttrs(r.Context(), level, "page", attributes...)
	})
}

// milliseconds returns a duration for the log, where its unit stands in the name. Package api has the same.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// limitTime cancels the context of a request after requestTimeout.
func limitTime(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
		defer cancel()
		next(w, r.WithContext(ctx))
	})
}

// statusRecorder remembers the status of a response.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (r *statusRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// handle finds out who is signed in, reads the form, and calls the page. It returns a panic as an error.
func (r *request) handle(page func(*request) error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("panic: %v\n%s", value, debug.Stack())
		}
		if r.leavePlace(); r.endPlace != nil {
			r.endPlace()
		}
	}()
	if err := r.page.Callers.CheckOrigin(r.Request); err != nil { // also where nobody is signed in: a form can sign in
		return err
	}
	caller, err := r.page.Callers.Authenticate(r.Request)
	switch {
	case err == nil && len(caller.TokenScopes) > 0: // scopes are parts of the API, and no page is one
		return &fault.Error{Kind: fault.KindForbidden, Message: "An API token that is limited to scopes opens no page."}
	case err == nil:
		r.user = &caller
	case !fault.Is(err, fault.KindUnauthenticated), caller.Via != "" && caller.Via != directory.ViaSession:
		return err
	case caller.Via == directory.ViaSession: // the session has ended
		r.dropCookie(sessionCookie)
	}
	if r.hasTable() {
		if err := r.takePlace(); err != nil {
			return err
		}
	}
	if err := r.readForm(); err != nil {
		return err
	}
	return page(r)
}

// readForm reads the query and the form of a request. It returns errBadForm where they can't be read. A page that only reads
// values reads no more: net/http would write the files of a form without a limit to the disk.
func (r *request) readForm() error {
	limit, hasTable := int64(maxForm), r.hasTable()
	switch {
	case hasTable:
		limit = maxTableForm
	case isConsole(r.URL.Path) || strings.HasPrefix(r.URL.Path, joinPrefix):
		limit = maxTextForm
	}
	r.Body = http.MaxBytesReader(r.w, r.Body, limit)
	err := r.ParseForm()
	if err == nil && hasTable && strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
		err = r.ParseMultipartForm(maxTableForm) // in memory
	}
	if tooLarge := (*http.MaxBytesError)(nil); hasTable && errors.As(err, &tooLarge) {
		r.Form, r.PostForm, r.tooLarge = r.URL.Query(), url.Values{}, true
	} else if err != nil {
		r.Form, r.PostForm = url.Values{}, url.Values{}
		return errBadForm
	}
	for name, values := range r.Form {
		for _, value := range values {
			if hasTable && name == fieldTable {
				continue // whoever reads the table says on which line it is wrong
			}
			if !utf8.ValidString(value) || strings.ContainsRune(value, 0) { // no database stores it
				return errBadForm
			}
		}
	}
	return nil
}

// hasTable reports whether a request is a form with a table, and comes from somebody who may invite. Nobody else can send as
// much.
func (r *request) hasTable() bool {
	return r.Method == http.MethodPost && r.URL.Path == manyPath && r.user != nil && r.mayInvite()
}

var errBadForm = errors.New("web: the form can't be read")

// secretPath matches the part of a path that admits: a link, or an approval token.
var secretPath = regexp.MustCompile(`^(/(?:invitation(?:_approve|_reject)?|user-group-invitation)/)[^/]+`)

// consoleSecret matches the uuid of a join link in a path of the console: unlike "new", a random uuid has a digit, that of its
// version.
var consoleSecret = regexp.MustCompile(`^(/console/links/)[^/]*[0-9][^/]*`)

func loggedPath(path string) string {
	path = consoleSecret.ReplaceAllString(secretPath.ReplaceAllString(path, "$1…"), "$1…")
	if len(path) > 200 {
		path = strings.ToValidUTF8(path[:200], "") + "…"
	}
	return path
}

// view is the data of every template.
type view struct {
	Site, Base, Title string
	User              *signin.Caller
	ReturnTo          string
	Console           bool // the page is of the console, and has its script
	SeesLinks         bool // there can be join links on the console for the user
	SeesRequests      bool // there can be requests to join for the user, beside their own
	Wide              bool // the page has a table
	Data              any
}

// widePages are the pages that have a table.
var widePages = []string{"list", "links", "many-check", "many-one"}

// render answers with a page.
func (r *request) render(status int, name, title string, data any) error {
	var body bytes.Buffer
	seesLinks, seesRequests := r.sees()
	v := view{Site: r.page.SiteName, Base: r.page.base, Title: title, User: r.user, ReturnTo: r.returnTo(), Console: isConsole(r.URL.Path), Wide: slices.Contains(widePages, name), SeesLinks: seesLinks, SeesRequests: seesRequests, Data: data}
	if err := r.page.templates[name].ExecuteTemplate(&body, "layout", v); err != nil {
		return err
	}
	r.leavePlace()
	r.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	r.w.WriteHeader(status)
	_, _ = r.w.Write(body.Bytes()) // the browser may have left
	return nil
}

// sees reports which lists about join links can have anything for the user.
func (r *request) sees() (links, requests bool) {
	if r.user == nil {
		return false, false
	}
	visible := joining.RequestsVisibleTo(r.user.Actor)
	return !joining.OverseenBy(r.user.Actor).IsEmpty(), visible.All || len(visible.Customers) > 0
}

// redirect sends the browser to a path of this server, to be read by GET.
func (r *request) redirect(path string) error {
	http.Redirect(r.w, r.Request, r.page.base+strings.TrimPrefix(path, "/"), http.StatusSeeOther)
	return nil
}

// localPath matches the paths that a browser can be sent back to: those of pages. Only the console's lists have a
// query, their filters.
var localPath = regexp.MustCompile(`^/(?:(?:[A-Za-z0-9_-]+/)*|console/(?:links/|join-requests/|bulk/)?\?[A-Za-z0-9_.~%=&+@:-]+)$`)

// returnTo returns the path that the browser goes to after signing in or out; "/" where the request names none of ours.
func (r *request) returnTo() string {
	return localOr(r.Form.Get("return_to"), "/")
}

// localOr returns a path that a browser can be sent back to, else another one.
func localOr(path, other string) string {
	if len(path) > 500 || !localPath.MatchString(path) {
		return other
	}
	return path
}

// A message is the content of a page that says one thing.
type message struct{ Heading, Text string }

// fail answers with the page of an error. Nothing of an internal error is shown.
func (r *request) fail(err error) {
	status, m := http.StatusInternalServerError, message{
		"Something went wrong on our side", "Nothing was changed. Try again in a moment; if it goes on, tell the people who run this site.",
	}
	var f *fault.Error
	switch errors.As(err, &f); {
	case errors.Is(err, errBadForm):
		status, m = http.StatusBadRequest, message{"That form can’t be read", "Go back, load the page again, and try once more."}
	case f == nil:
		r.page.Logger.ErrorContext(r.Context(), "page failed", "path", loggedPath(r.URL.Path), "error", err)
	case f.Kind == fault.KindNotFound:
		status, m = http.StatusNotFound, message{
			"This link is not valid", "It may be misspelled, or it was replaced by a newer one. Look for the newest mail, or ask whoever invited you.",
		}
	case errors.Is(err, signin.ErrOtherSite):
		status, m = http.StatusForbidden, message{
			"This form came from another site", "Nothing was changed. Open the page here, and try again.",
		}
	case f.Kind == fault.KindForbidden:
		status, m = http.StatusForbidden, message{"You may not do this", f.Message + " Nothing was changed."}
	case f.Kind == fault.KindUnauthenticated:
		status, m = http.StatusUnauthorized, message{"You are not signed in", f.Message}
	case f.Kind == fault.KindThrottled:
		r.w.Header().Set("Retry-After", strconv.Itoa(int(f.Wait.Seconds())))
		status, m = http.StatusTooManyRequests, message{"Too many tries", "Wait " + inWords(f.Wait) + ", and try again."}
	case f.Kind == fault.KindUnavailable:
		r.w.Header().Set("Retry-After", "5")
		r.page.Logger.WarnContext(r.Context(), "page unavailable", "path", loggedPath(r.URL.Path), "error", err)
		status = http.StatusServiceUnavailable
	case f.Kind == fault.KindRejected, f.Kind == fault.KindInvalid:
		status, m = http.StatusBadRequest, message{"That did not work", refusal(err)}
	default:
		r.page.Logger.ErrorContext(r.Context(), "page failed", "path", loggedPath(r.URL.Path), "error", err)
	}
	if err := r.render(status, "message", m.Heading, m); err != nil {
		r.page.Logger.ErrorContext(r.Context(), "page failed", "path", loggedPath(r.URL.Path), "error", err)
		http.Error(r.w, m.Heading, http.StatusInternalServerError)
	}
}

// inWords returns a time to wait as people say it.
func inWords(wait time.Duration) string {
	minutes := int((wait + time.Minute - 1) / time.Minute)
	if minutes <= 1 {
		return "a minute"
	}
	return strconv.Itoa(minutes) + " minutes"
}

// formatDate writes a time for people.
func formatDate(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") }
