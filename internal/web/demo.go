package web

import (
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"invited/internal/fault"
)

// A Demo lets anybody be one of a few people, with a click and without a code, and read the mails that were sent. It is for a
// server that nobody else can reach.
type Demo struct {
	People   []Person
	JoinLink uuid.UUID // of a group invitation to try
	// Mails returns the newest mails, the newest first.
	Mails func() ([]Mail, error)
}

// A Person is a user whom a visitor of the demonstration can be.
type Person struct{ Username, Name, About string }

// A Mail is a mail that was sent.
type Mail struct{ To, Subject, Text string }

// Line is a line of a mail's text.
type Line struct {
	Text   string
	IsLink bool
}

// Lines returns the lines of the mail's text. A URL stands in a line of its own.
func (m Mail) Lines() []Line {
	var lines []Line
	for line := range strings.Lines(m.Text) {
		line = strings.TrimRight(line, "\r\n")
		lines = append(lines, Line{line, strings.HasPrefix(line, "http://") || strings.HasPrefix(line, "https://")})
	}
	return lines
}

// demoPage is the content of the page of the demonstration.
type demoPage struct {
	People   []Person
	JoinLink string // the path of a join link, below the base
	Mails    []Mail
}

// isLocal reports whether a request was made on this machine, by a name of this machine, and not for somebody else. A site
// whose name leads to this machine's address (DNS rebinding), and whoever comes through a proxy on this machine, would be
// any of the people otherwise.
func (r *request) isLocal() bool {
	for _, name := range []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "Via"} {
		if len(r.Header.Values(name)) > 0 {
			return false
		}
	}
	peer, _, err := net.SplitHostPort(r.RemoteAddr)
	if ip := net.ParseIP(peer); err != nil || !ip.IsLoopback() {
		return false
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// demo is the page of the demonstration.
func (p *pages) demo(r *request) error {
	if !r.isLocal() {
		return fault.NotFound()
	}
	mails, err := p.Demo.Mails()
	if err != nil {
		return err
	}
	return r.render(http.StatusOK, "demo", "Try it", demoPage{p.Demo.People, strings.TrimPrefix(joinPath(p.Demo.JoinLink), "/"), mails})
}

// be signs the visitor in as a person of the demonstration.
func (p *pages) be(r *request) error {
	name := r.PathValue("username")
	if !r.isLocal() || !slices.ContainsFunc(p.Demo.People, func(each Person) bool { return each.Username == name }) {
		return fault.NotFound()
	}
	session, err := p.Identity.SignInAs(r.Context(), name, p.ClientIP(r.Request))
	if err != nil {
		return err
	}
	return r.startSession(session, r.returnTo())
}
