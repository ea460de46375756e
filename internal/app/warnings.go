package app

import (
	"net"
	"strings"

	"invited/internal/config"
)

// startWarnings returns what a configuration most likely leaves half done, one line each with its variable. The server works
// all the same: somebody may want it so.
func startWarnings(c config.Config) (lines []string) {
	warn := func(text string) { lines = append(lines, text) }
	if c.Database.Engine == config.Postgres && c.SMTPURL == "" {
		warn("INVITED_SMTP_URL is not set: no mail is sent, and each is written into the folder " + c.MailDir + " of this process")
	}
	if !c.Pages && c.FrontendURL.Host == c.PublicURL.Host && strings.HasPrefix(c.FrontendURL.Path, c.PublicURL.Path) {
		warn("INVITED_FRONTEND_URL leads to this server, whose pages INVITED_PAGES=false turns off: the links in mails open nothing")
	}
	if domain := c.MailFrom.Address[strings.LastIndexByte(c.MailFrom.Address, '@')+1:]; c.SMTPURL != "" && isLocalName(domain) {
		warn("INVITED_MAIL_FROM is an address at " + domain + ": most mail servers refuse it")
	}
	if host := c.PublicURL.Hostname(); c.PublicURL.Scheme == "http" && !isLocalName(host) {
		warn("INVITED_PUBLIC_URL is plain http at " + host + ": tokens, sessions and links can be read on the way")
	}
	if c.SMTPURL != "" && isLocalName(c.FrontendURL.Hostname()) {
		warn("INVITED_FRONTEND_URL is at " + c.FrontendURL.Hostname() + ": the links in mails open on this machine only")
	}
	if len(c.CORSHeaders) > 0 && len(c.CORSOrigins) == 0 {
		warn("INVITED_CORS_HEADERS has no effect without INVITED_CORS_ORIGINS")
	}
	return lines
}

// isLocalName reports whether a host or a domain means this machine alone.
func isLocalName(name string) bool {
	ip := net.ParseIP(name)
	return strings.EqualFold(name, "localhost") || strings.HasSuffix(strings.ToLower(name), ".localhost") || (ip != nil && ip.IsLoopback())
}
