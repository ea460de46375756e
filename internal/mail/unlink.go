package mail

import (
	"regexp"
	"strings"
	"unicode"
)

// dots are the characters that browsers read as the dot of a domain.
const dots = ".。．｡"

// likeLink matches a name that mail programs could turn into a link: one with a scheme, a dot before something that is no
// number, an IPv4 address, or a host with a port. Domains have marks and emoji too.
var likeLink = regexp.MustCompile(`://|[^\s\pZ][` + dots + `][^\s\pZ\pN\pP]|\pN[` + dots + `]\pN+[` + dots + `]\pN+[` + dots + `]\pN|\pL\pN*:\pN`)

// copyable matches an address of which mail programs make no link to a site. Other valid addresses begin as a URL does,
// such as evil.example/login@acme.example.
var copyable = regexp.MustCompile(`^[A-Za-z0-9._+-]+@[^@]+$`)

// wordJoiner is invisible and zero wide, and ends a link.
const wordJoiner = "\u2060"

// withoutLink returns a name that mail programs do not turn into a link. A name is typed by whoever invites, and must not
// lead anywhere under the name of the site. An ordinary e-mail address is left as it is: people copy it.
func withoutLink(name string) string {
	if !likeLink.MatchString(name) {
		return name
	}
	if copyable.MatchString(name) && !strings.HasPrefix(strings.ToLower(name), "www.") {
		if _, err := parseAddress(name); err == nil {
			return name
		}
	}
	var out strings.Builder
	before := ' '
	for _, r := range name {
		if strings.ContainsRune(dots+":/@", before) && !unicode.IsSpace(r) {
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
	for _, s := range []*string{&v.Inviter, &v.ScopeName, &v.CustomerName, &v.Asker, &v.AskerEmail, &v.ProjectName, &v.AcceptedBy} {
		*s = withoutLink(*s)
	}
	requests := v.Requests
	v.Requests = make([]Invitation, len(requests))
	for i, request := range requests {
		v.Requests[i] = request.withoutLinks()
	}
	return v
}
