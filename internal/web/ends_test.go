package web_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/invitation"
)

// The page of an invitation, and the console, say when the role ends; and nothing of it where the role does not end.
func TestPagesSayWhenTheRoleEnds(t *testing.T) {
	onEachEngine(t, func(e *env) {
		ends := time.Date(2027, 6, 30, 12, 0, 0, 0, time.UTC)
		made := e.invite("ina@university.example", apollo, func(d *invitation.Draft) { d.MembershipExpires = &ends })
		other := e.invite("bob@elsewhere.example", apollo)
		b := e.browser()
		b.signIn("ina@university.example")
		require.Contains(e, b.get(pathOf(made)).body, " until 30 June 2027, 12:00 UTC.")
		b = e.browser()
		b.signIn("bob@elsewhere.example")
		require.Contains(e, b.get(pathOf(other)).body, "System administrator</bdi></strong>.</p>")
		owner := e.browser()
		owner.signIn("olivia@acme.example")
		require.Contains(e, owner.get("/console/"+made.UUID.String()+"/").body, "Role ends")
		require.NotContains(e, owner.get("/console/"+other.UUID.String()+"/").body, "Role ends")
	})
}
