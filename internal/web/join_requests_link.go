package web

import (
	"net/url"

	"invited/internal/directory"
	"invited/internal/fault"
)

// joinRequestsOf leads from the link in mails about requests to join an organization to the console's list of them. The link has
// the path of Waldur's front end, so that it works there too.
func (p *pages) joinRequestsOf(r *request) error {
	id, ok := directory.ParseUUID(r.PathValue("uuid"))
	if !ok {
		return fault.NotFound()
	}
	return r.redirect("/console/join-requests/?" + url.Values{"organization": {id.String()}}.Encode())
}
