package web_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// The link in mails about requests to join leads to the console's list of those of the organization. Who follows it signs in
// there.
func TestLinkToJoinRequests(t *testing.T) {
	onEachEngine(t, func(e *env) {
		const path = "/organizations/7d1f4b62-5a3c-4e08-8f97-2b6c9d0e1a01/group-invitations/"
		to := e.browser().get(path)
		require.Equal(e, http.StatusSeeOther, to.status)
		require.Equal(e, "/console/join-requests/?organization=7d1f4b62-5a3c-4e08-8f97-2b6c9d0e1a01", to.location)
		require.Equal(e, to.location, e.browser().get("/organizations/7d1f4b625a3c4e088f972b6c9d0e1a01/group-invitations/").location)
		for _, bad := range []string{"/organizations/x/group-invitations/", "/organizations/..%2f..%2fevil.example/group-invitations/"} {
			require.Equal(e, http.StatusNotFound, e.browser().get(bad).status, bad)
		}
		require.NotEqual(e, http.StatusSeeOther, e.browser().post(path).status)
	})
}
