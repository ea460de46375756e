package signin

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Issuer is a provider of OpenID Connect that vouches for people. ID, URL, ClientID and Name are required.
type Issuer struct {
	ID             string // a path segment of the callback; unique
	URL            string // exactly as the issuer writes it in its tokens; unique
	ClientID       string
	ClientSecret   string         // "": the client is public
	Name           string         // for people
	Scopes         []string       // asked for when a person signs in
	Audiences      []string       // an access token for the API is for one of these; none: for ClientID
	Roots          *x509.CertPool // the authorities of its certificates; nil: the system's
	Claims         Claims
	EmailTrusted   bool     // every address of the issuer counts as verified
	StaffGroups    []string // the people in one of these groups are staff; none: the issuer does not decide that
	AcceptIDTokens bool     // ID tokens work on the API as access tokens do
}

// Claims are the names of the claims that a person's data is read from. "" means the usual name, and no civil number.
type Claims struct{ Email, Username, FullName, CivilNumber, Groups string }

// Config holds the parts of New. Every field must be set.
type Config struct {
	Issuers   []Issuer
	PublicURL string // the base of callbacks, ending in a slash
	Logger    *slog.Logger
	Now       func() time.Time
}

// Providers are the issuers whose people may sign in. Providers may be used by several goroutines at once. The methods of a
// nil *Providers act as those of no issuers.
type Providers struct {
	publicURL string
	logger    *slog.Logger
	now       func() time.Time
	issuers   []*issuer // in the configuration's order
	failures  *throttle // of clients that come back from an issuer
}

// failureLimit is how often a client may come back from an issuer without being signed in.
var failureLimit = Limit{Count: 30, Per: time.Minute}

// New returns the issuers. It makes no request: Run does.
func New(c Config) *Providers {
	p := &Providers{publicURL: c.PublicURL, logger: c.Logger, now: c.Now, failures: newThrottle(failureLimit)}
	for _, each := range c.Issuers {
		if len(each.Audiences) == 0 {
			each.Audiences = []string{each.ClientID}
		}
		p.issuers = append(p.issuers, &issuer{
			Issuer: each, client: newClient(each.Roots), now: c.Now, logger: c.Logger, trouble: "was not reached yet",
		})
	}
	return p
}

// Choice is an issuer as a person chooses one.
type Choice struct{ ID, Name, ClientID string }

// Choices returns the issuers in their order.
func (p *Providers) Choices() []Choice {
	if p == nil {
		return nil
	}
	choices := make([]Choice, 0, len(p.issuers))
	for _, each := range p.issuers {
		choices = append(choices, Choice{each.ID, each.Name, each.ClientID})
	}
	return choices
}

// Run fetches what the issuers say about themselves, and their keys, whenever that is due, until ctx ends.
func (p *Providers) Run(ctx context.Context) {
	ticker := time.NewTicker(fetchInterval)
	defer ticker.Stop()
	for {
		p.Refresh(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Refresh does what Run does, once.
func (p *Providers) Refresh(ctx context.Context) {
	if p == nil {
		return
	}
	var wait sync.WaitGroup
	for _, each := range p.issuers {
		if each.isDue() {
			wait.Go(func() { each.refresh(ctx) })
		}
	}
	wait.Wait()
}

// Troubles returns, for each issuer by its ID, why it can't be used; "" where it can. The reasons are for everybody.
func (p *Providers) Troubles() map[string]string {
	if p == nil {
		return nil
	}
	troubles := map[string]string{}
	for _, each := range p.issuers {
		troubles[each.ID] = each.state().trouble
	}
	return troubles
}

// find returns the issuer that is chosen by a test; nil where there is none.
func (p *Providers) find(is func(*issuer) bool) *issuer {
	if p == nil {
		return nil
	}
	for _, each := range p.issuers {
		if is(each) {
			return each
		}
	}
	return nil
}

// shorten returns the text of an error for the log. The libraries' errors repeat whole responses.
func shorten(err error) string {
	const limit = 300
	text := err.Error()
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return text
}

// lifetime returns for how long keys are fresh by the header of their response: Cache-Control's max-age, between five
// minutes and a day.
func lifetime(header http.Header) time.Duration {
	for directive := range strings.SplitSeq(header.Get("Cache-Control"), ",") {
		if seconds, found := strings.CutPrefix(strings.ToLower(strings.TrimSpace(directive)), "max-age="); found {
			if age, err := time.ParseDuration(seconds + "s"); err == nil {
				return min(max(age, minLifetime), maxLifetime)
			}
		}
	}
	return minLifetime
}
