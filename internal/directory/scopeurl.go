package directory

import (
	"net/url"
	"regexp"

	"github.com/google/uuid"
)

// typeOfSegment maps the path segment after /api/ to the type of the scopes below it.
var typeOfSegment = map[string]ScopeType{
	"customers":                      Customer,
	"projects":                       Project,
	"marketplace-provider-offerings": Offering,
	"proposal-protected-calls":       Call,
	"proposal-proposals":             Proposal,
}

var scopePath = regexp.MustCompile(`/api/([a-z-]+)/([^/]+)/$`)

// NoScope returns the message about a URL that leads to no scope which the caller sees.
func NoScope(address string) string { return "Can't restore object from url: " + address }

// ParseScopeURL returns the type and uuid of the scope that a URL identifies, and false when the URL identifies no
// scope. The URL's path ends in /api/customers/{uuid}/, /api/projects/{uuid}/,
// /api/marketplace-provider-offerings/{uuid}/, /api/proposal-protected-calls/{uuid}/ or /api/proposal-proposals/{uuid}/.
// The scheme is http, https or empty, and the host is ignored.
func ParseScopeURL(address string) (ScopeType, uuid.UUID, bool) {
	parsed, err := url.Parse(address)
	if err != nil || (parsed.Scheme != "" && parsed.Scheme != "http" && parsed.Scheme != "https") {
		return "", uuid.Nil, false
	}
	found := scopePath.FindStringSubmatch(parsed.EscapedPath())
	if found == nil {
		return "", uuid.Nil, false
	}
	kind, known := typeOfSegment[found[1]]
	id, ok := ParseUUID(found[2])
	return kind, id, known && ok
}

var uuidForm = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$|^[0-9a-fA-F]{32}$`)

// ParseUUID returns the uuid that text is in canonical form or as 32 hexadecimal digits, and false for any other text.
// uuid.Parse is too lenient: it accepts URNs and braces.
func ParseUUID(text string) (uuid.UUID, bool) {
	if !uuidForm.MatchString(text) {
		return uuid.Nil, false
	}
	id, err := uuid.Parse(text)
	return id, err == nil
}

// ScopePath returns the path that [ParseScopeURL] reads as a scope.
func ScopePath(s Scope) string {
	for segment, kind := range typeOfSegment {
		if kind == s.Type {
			return "/api/" + segment + "/" + s.UUID.String() + "/"
		}
	}
	return ""
}
