package mail

import (
	"regexp"
	"strings"
	"unicode"
)

// likeLink matches a name that mail programs would turn into a link: one with a scheme, or with a dot between letters.
var likeLink = regexp.MustCompile(`(?i)://|\bwww\.|[\pL\pN]\.[\pL\pN-]*\pL`)

// wordJoiner is invisible and zero wide, and ends a link.
const wordJoiner = "\u2060"

// withoutLink returns a name that mail programs do not turn into a link. A name is typed by whoever invites, and must not
// lead anywhere under the name of the site. An e-mail address is left as it is: people copy it.
func withoutLink(name string) string {
	if !likeLink.MatchString(name) {
		return name
	}
	if _, err := parseAddress(name); err == nil {
		return name
	}
	var out strings.Builder
	before := ' '
	for _, r := range name {
		if strings.ContainsRune(".:/@", before) && !unicode.IsSpace(r) {
			out.WriteString(wordJoiner)
		}
		out.WriteRune(r)
		before = r
	}
	return out.String()
}

// withoutLinks returns v with each name that users type, also of its Requests, as text that does not become a link. Subjects
// have the names as they are: mail programs make no links there.
func (v Invitation) withoutLinks() Invitation {
	for _, s := range []*string{&v.Inviter, &v.ScopeName, &v.CustomerName, &v.Asker, &v.AcceptedBy} {
		*s = withoutLink(*s)
	}
	requests := v.Requests
	v.Requests = make([]Invitation, len(requests))
	for i, request := range requests {
		v.Requests[i] = request.withoutLinks()
	}
	return v
}
