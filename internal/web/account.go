package web

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/identity"
)

const (
	// maxOwnTokens is the number of tokens that the page of a user's own shows.
	maxOwnTokens = 300
	// maxOwnEvents is the number of sign-ins that the page shows.
	maxOwnEvents = 20
)

// accountPage is the content of the page of a user's own tokens and sessions.
type accountPage struct {
	Tokens     []ownToken
	MoreTokens bool
	Sessions   []ownSession
	HasOthers  bool // sessions beside this browser's
	Events     []ownEvent
	Form       tokenForm
}

// An ownToken is one of the user's API tokens.
type ownToken struct {
	directory.APIToken
	IsExpired bool
}

// ScopeWords returns what the token may do, in words.
func (t ownToken) ScopeWords() string {
	if len(t.Scopes) == 0 {
		return "do everything that you may"
	}
	words := make([]string, len(t.Scopes))
	for i, each := range t.Scopes {
		words[i] = scopeWords[each]
	}
	return strings.Join(words, ", ")
}

// scopeWords are the scopes of tokens as people call them.
var scopeWords = map[directory.TokenScope]string{
	directory.ReadInvitations:  "read invitations",
	directory.WriteInvitations: "create, change, answer and review invitations",
	directory.ReadDirectory:    "read organizations, projects and roles",
	directory.IssueUserTokens:  "make tokens for users",
}

// An ownSession is one of the user's sessions.
type ownSession struct {
	identity.Session
	IsThis bool // of the browser that asks
	By     string
}

// An ownEvent is something that happened to the user's sign-ins and tokens.
type ownEvent struct {
	identity.Event
	What, By string
}

// signInWords are the types of events as people call them.
var signInWords = map[identity.EventType]string{
	identity.EventSignedIn: "Signed in", identity.EventSignedOut: "Signed out", identity.EventRefused: "Refused",
	identity.EventUserCreated: "Account made", identity.EventIdentityLinked: "Linked", identity.EventTokenCreated: "Token made",
	identity.EventTokenRevoked: "Token revoked",
}

// tokenForm is the form of a new token.
type tokenForm struct {
	Name    string
	Scopes  []scopeChoice
	Days    string
	Choices []string // of days
	Problem string
}

// A scopeChoice is a scope that a new token can have.
type scopeChoice struct {
	directory.TokenScope
	Words   string
	IsTaken bool
}

// tokenDays are the days that a token can be made for on the page; the API takes any time up to a year.
var tokenDays = []string{"7", "30", "90", "365"}

// account is the page of the user's own tokens and sessions.
func (p *pages) account(r *request) error {
	form := tokenForm{Days: strconv.Itoa(int(identity.DefaultTokenLifetime / (24 * time.Hour))), Choices: tokenDays}
	for _, each := range directory.TokenScopes {
		if r.user.CheckTokenScopes([]directory.TokenScope{each}) == nil {
			form.Scopes = append(form.Scopes, scopeChoice{each, scopeWords[each], false})
		}
	}
	return p.showAccount(r, http.StatusOK, form)
}

func (p *pages) showAccount(r *request, status int, form tokenForm) error {
	out := accountPage{Form: form}
	tokens, total, now, err := p.Identity.Tokens(r.Context(), r.user.Actor, 1, maxOwnTokens)
	if err != nil {
		return err
	}
	for _, each := range tokens {
		out.Tokens = append(out.Tokens, ownToken{each, !each.WorksAt(now)})
	}
	out.MoreTokens = total > len(tokens)
	sessions, err := p.Identity.Sessions(r.Context(), r.user.Actor)
	if err != nil {
		return err
	}
	for _, each := range sessions {
		own := ownSession{each, each.Digest == r.user.Session.Digest, p.issuerName(each.Issuer)}
		out.Sessions, out.HasOthers = append(out.Sessions, own), out.HasOthers || !own.IsThis
	}
	events, err := p.Identity.Events(r.Context(), &r.user.UUID, maxOwnEvents)
	if err != nil {
		return err
	}
	for _, each := range events {
		what := signInWords[each.Type]
		if what == "" {
			what = string(each.Type)
		}
		out.Events = append(out.Events, ownEvent{each, what, p.issuerName(each.Issuer)})
	}
	return r.render(status, "account", "Your tokens and sessions", out)
}

// issuerName returns the name of an issuer for people; "" where there is none.
func (p *pages) issuerName(issuer string) string {
	return cmp.Or(p.Providers.NameOf(issuer), issuer)
}

// makeToken makes a token of the form, and shows its key this once.
func (p *pages) makeToken(r *request) error {
	form := tokenForm{Name: r.PostFormValue("name"), Days: r.PostFormValue("days"), Choices: tokenDays}
	draft := identity.TokenDraft{Name: form.Name}
	for _, name := range r.PostForm["scope"] {
		draft.Scopes = append(draft.Scopes, directory.TokenScope(name))
	}
	for _, each := range directory.TokenScopes {
		if r.user.CheckTokenScopes([]directory.TokenScope{each}) == nil {
			form.Scopes = append(form.Scopes, scopeChoice{each, scopeWords[each], slices.Contains(draft.Scopes, each)})
		}
	}
	if !slices.Contains(tokenDays, form.Days) {
		form.Problem = "Choose for how long the token works."
		return p.showAccount(r, http.StatusBadRequest, form)
	}
	days, err := strconv.Atoi(form.Days)
	if err != nil {
		return err
	}
	draft.Lifetime = time.Duration(days) * 24 * time.Hour
	made, err := p.Identity.CreateToken(r.Context(), r.user.Actor, draft, p.ClientIP(r.Request))
	if fault.Is(err, fault.KindInvalid) {
		form.Problem = tokenProblem(draft, err)
		return p.showAccount(r, http.StatusBadRequest, form)
	} else if err != nil {
		return err
	}
	p.Logger.InfoContext(r.Context(), "API token made", r.aboutToken(made.UUID.String(),
		"scopes", directory.JoinTokenScopes(made.Scopes), "expires", *made.Expires)...)
	return r.render(http.StatusOK, "token", "Your new token", made)
}

// tokenProblem returns why a token was not made, in the words of the page.
func tokenProblem(draft identity.TokenDraft, err error) string {
	switch {
	case directory.Trim(draft.Name) == "":
		return "Say what the token is for."
	case len(draft.Scopes) == 0:
		return "Choose at least one thing that the token may do."
	default:
		return refusal(err)
	}
}

// revokeToken ends one of the user's tokens.
func (p *pages) revokeToken(r *request) error {
	id, ok := directory.ParseUUID(r.PostFormValue("token"))
	if !ok {
		return fault.NotFound()
	}
	if err := p.Identity.RevokeToken(r.Context(), r.user.Actor, id, p.ClientIP(r.Request)); err != nil {
		return p.ownMissing(r, err)
	}
	p.Logger.InfoContext(r.Context(), "API token revoked", r.aboutToken(id.String())...)
	return r.redirect("/account/")
}

// ownMissing answers a form about something that has ended meanwhile.
func (p *pages) ownMissing(r *request, err error) error {
	if fault.Is(err, fault.KindNotFound) {
		m := message{"It has ended already", "Nothing was changed. Your page of tokens and sessions has what is left."}
		return r.render(http.StatusNotFound, "message", m.Heading, m)
	}
	return err
}

// endSession ends one of the user's sessions, or all but this browser's.
func (p *pages) endSession(r *request) (err error) {
	client := p.ClientIP(r.Request)
	if r.PostFormValue("session") == "others" {
		_, err = p.Identity.EndOtherSessions(r.Context(), r.user.Actor, r.user.Session, client)
	} else {
		err = p.Identity.EndSession(r.Context(), r.user.Actor, r.PostFormValue("session"), client)
	}
	if err != nil {
		return p.ownMissing(r, err)
	}
	p.Logger.InfoContext(r.Context(), "signed out", "user", r.user.Username, "by", "another session", "client", client)
	return r.redirect("/account/")
}

// aboutToken returns the attributes of a log line about one of the user's tokens, never the token itself.
func (r *request) aboutToken(token string, more ...any) []any {
	return append([]any{
		"request_id", r.w.Header().Get("X-Request-ID"), "user", r.user.Username, "token", token, "client", r.page.ClientIP(r.Request),
	}, more...)
}
