package api_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory/dirfile"
	"invited/internal/invitation"
)

var (
	acceptedBody = detailBody("Invitation has been successfully accepted.")

	sameRole    = ruleError("User has already the same role in this scope.")
	otherEmail  = ruleError("User’s email and email of the invitation are not equal.")
	otherRole   = ruleError("User already has role within this scope.")
	badPattern  = ruleError("User email, affiliation, or identity source does not match the project restrictions.")
	roleRetired = ruleError("Role is not active.")
	hasManager  = ruleError(msgManager)
)

func TestAcceptAddsMembership(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "anybody@x.example", manager, apollo)
		require.Empty(e.t, e.emails("stranger", ""))
		e.do("stranger", made.UUID, "accept").is(http.StatusOK, acceptedBody)
		require.Equal(e.t, "accepted", e.state(made.UUID))

		// The stranger manages the project now.
		require.Equal(e.t, []string{"anybody@x.example"}, e.emails("stranger", ""))
		e.create("stranger", "next@x.example", admin, apollo)

		var out bytes.Buffer
		require.NoError(e.t, dirfile.Export(e.context(), e.db.FileStore(), &out))
		require.Equal(e.t, 1, strings.Count(out.String(), "user: stranger"))
		require.Regexp(e.t, `user: stranger\n +role: PROJECT\.MANAGER\n`, out.String())

		of := "FROM memberships WHERE user_uuid = '" + e.userID("stranger").String() + "'"
		require.Equal(e.t, e.userID("owner").String(), e.value("SELECT created_by_uuid "+of), "the membership is created by the inviter")
		require.Equal(e.t, apollo, e.value("SELECT scope_uuid "+of))
	})
}

func TestAcceptOnce(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "anybody@x.example", admin, apollo)
		e.do("stranger", made.UUID, "accept").is(http.StatusOK, acceptedBody)
		e.do("stranger", made.UUID, "accept").is(http.StatusNotFound, notFound)
		e.do("invitee", made.UUID, "accept").is(http.StatusNotFound, notFound)
	})
}

func TestAcceptByState(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for state, id := range oneInEachState(e) {
			if state != "pending" {
				e.do("invitee", id, "accept").is(http.StatusNotFound, notFound)
				e.do("staff", id, "accept").is(http.StatusNotFound, notFound)
				require.Equal(e.t, state, e.state(id))
			}
		}
		e.do("staff", uuid.New(), "accept").is(http.StatusNotFound, notFound)
		e.request("POST", at("nonsense", "accept"), "staff", nil).is(http.StatusNotFound, notFound)
	}, onlyStaff)
}

func TestAcceptChecksCivilNumber(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "anybody@x.example", admin, apollo, "civil_number", "1234")
		for _, user := range []string{"stranger", "owner", "staff", "support", "member"} {
			e.do(user, made.UUID, "accept").is(http.StatusNotFound, notFound)
		}
		e.do("invitee", made.UUID, "accept").is(http.StatusOK, acceptedBody)
	})
}

func TestAcceptWithEmailValidation(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "INVITEE@university.EXAMPLE", admin, apollo)
		for _, user := range []string{"stranger", "owner", "staff"} {
			e.do(user, made.UUID, "accept").is(http.StatusNotFound, notFound)
		}
		e.do("invitee", made.UUID, "accept").is(http.StatusOK, acceptedBody)
		both := e.create("owner", "invitee@university.example", admin, artemis, "civil_number", "5")
		e.do("invitee", both.UUID, "accept").is(http.StatusNotFound, notFound)
	}, validateEmail)
}

func TestAcceptInRemovedScope(t *testing.T) {
	onEachEngine(t, func(e *env) {
		ofProject := e.create("owner", "a@x.example", admin, apollo)
		ofCustomer := e.create("rival", "a@x.example", admin, hydra)
		e.applyReplaced(apolloUUID, apolloRemoved, "description: 100% others_", "description: 100% others_\n    is_removed: true")
		for _, id := range []uuid.UUID{ofProject.UUID, ofCustomer.UUID} {
			e.do("stranger", id, "accept").is(http.StatusNotFound, notFound)
			require.Equal(e.t, "pending", e.state(id))
		}
	})
}

func TestAcceptRejectsHeldRole(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", member, apollo)
		e.do("member", made.UUID, "accept").is(http.StatusBadRequest, sameRole)
		require.Equal(e.t, "pending", e.state(made.UUID), "somebody else can still accept it")
		// The same role in another scope, and another role in this scope, can be accepted.
		elsewhere := e.create("owner", "member@acme.example", member, strict)
		another := e.create("owner", "a@x.example", admin, apollo)
		e.do("member", elsewhere.UUID, "accept").is(http.StatusOK, acceptedBody)
		e.do("member", another.UUID, "accept").is(http.StatusOK, acceptedBody)
		// A revoked membership does not count.
		e.applyReplaced("{user: member, role: PROJECT.MEMBER}", "{user: member, role: PROJECT.MEMBER, is_active: false}")
		e.do("member", made.UUID, "accept").is(http.StatusOK, acceptedBody)
	})
}

func TestAcceptAfterMembershipExpired(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.applyReplaced("{user: member, role: PROJECT.MEMBER}",
			"{user: member, role: PROJECT.MEMBER, expiration_time: 2026-11-23T10:30:00Z}")
		made := e.create("owner", "a@x.example", member, apollo)
		e.setClock(e.parseTime("2026-11-23T10:29:59.999999Z"))
		e.do("member", made.UUID, "accept").is(http.StatusBadRequest, sameRole)
		e.setClock(e.parseTime("2026-11-23T10:30:00.000000Z"))
		e.do("member", made.UUID, "accept").is(http.StatusOK, acceptedBody)
	})
}

func TestAcceptWithStrictCheck(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "INVITEE@university.EXAMPLE", admin, apollo)
		e.do("stranger", made.UUID, "accept").is(http.StatusBadRequest, otherEmail)
		e.do("staff", made.UUID, "accept").is(http.StatusBadRequest, otherEmail)
		require.Equal(e.t, "pending", e.state(made.UUID))
		e.do("invitee", made.UUID, "accept").is(http.StatusOK, acceptedBody)
	}, strictCheck)
}

func TestAcceptWithMultipleRolesDisabled(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, apollo)
		e.do("member", made.UUID, "accept").is(http.StatusBadRequest, otherRole)
		e.do("owner", made.UUID, "accept").is(http.StatusOK, acceptedBody) // holds a role in the customer, but none in the scope
	}, disableMultiple)
}

func TestAcceptChecksCallersEmailPattern(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@acme.example", admin, strict)
		e.do("stranger", made.UUID, "accept").is(http.StatusBadRequest, badPattern)
		e.do("rival", made.UUID, "accept").is(http.StatusBadRequest, badPattern)
		require.Equal(e.t, "pending", e.state(made.UUID))
		e.do("invitee", made.UUID, "accept").is(http.StatusOK, acceptedBody) // Invitee@University.example

		// The patterns of the customer apply too.
		other := e.create("owner", "a@x.example", admin, apollo)
		e.applyReplaced("description: Makers of things", "description: Makers of things\n    user_email_patterns: ['.*@acme\\.example']")
		e.do("stranger", other.UUID, "accept").is(http.StatusBadRequest, strings.Replace(badPattern, "project", "customer", 1))
		e.do("reader", other.UUID, "accept").is(http.StatusOK, acceptedBody)
	})
}

func TestAcceptChecksRoleIsActive(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, apollo)
		e.applyReplaced(adminRole, adminRoleInactive)
		e.do("stranger", made.UUID, "accept").is(http.StatusBadRequest, roleRetired)
		e.applyReplaced()
		e.do("stranger", made.UUID, "accept").is(http.StatusOK, acceptedBody)
	})
}

func TestAcceptWithOneProjectManager(t *testing.T) {
	onEachEngine(t, func(e *env) {
		first := e.create("owner", "a@acme.example", manager, strict)
		second := e.create("owner", "b@acme.example", manager, strict)
		e.do("reader", first.UUID, "accept").is(http.StatusOK, acceptedBody)
		e.do("invitee", second.UUID, "accept").is(http.StatusBadRequest, hasManager)
		require.Equal(e.t, "pending", e.state(second.UUID))
	}, oneManager)
}

func everyRule(p *invitation.Policy) {
	strictCheck(p)
	disableMultiple(p)
	oneManager(p)
}

// Each request breaks two rules. The response reports the one that is checked first.
func TestAcceptOrderOfChecks(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply(`users: [{username: outsider, email: outsider@x.example, tokens: [outsider-key]}]
customers: [{name: Acme, uuid: ` + acme + `, description: Makers of things, projects: [
  {name: Apollo, uuid: ` + apollo + `, description: To the moon, members: [{user: outsider, role: PROJECT.MEMBER}]}]}]`)
		hidden := e.create("owner", "member@acme.example", member, apollo, "civil_number", "77")
		e.run("404 before the same role", func(e *env) {
			e.do("member", hidden.UUID, "accept").is(http.StatusNotFound, notFound)
		})
		same := e.create("owner", "a@x.example", member, apollo)
		e.run("the same role before the e-mail", func(e *env) {
			e.do("member", same.UUID, "accept").is(http.StatusBadRequest, sameRole)
		})
		other := e.create("owner", "a@x.example", admin, apollo)
		e.run("the e-mail before several roles", func(e *env) {
			e.do("member", other.UUID, "accept").is(http.StatusBadRequest, otherEmail)
		})
		outsiders := e.create("owner", "outsider@x.example", admin, apollo)
		strangers := e.create("owner", "stranger@example.org", admin, apollo)
		invitees := e.create("owner", "invitee@university.example", admin, apollo)
		e.exec("DELETE FROM memberships WHERE user_uuid = '" + e.userID("manager").String() + "'")
		managers := e.create("owner", "invitee@university.example", manager, apollo)
		strangersManager := e.create("owner", "stranger@example.org", manager, apollo)
		e.applyReplaced(apolloUUID, apolloUUID+"        user_email_patterns: ['.*@(acme|university)\\.example']\n",
			adminRole, adminRoleInactive)
		e.run("several roles before the patterns", func(e *env) {
			e.do("outsider", outsiders.UUID, "accept").is(http.StatusBadRequest, otherRole)
		})
		e.run("the patterns before the retired role", func(e *env) {
			e.do("stranger", strangers.UUID, "accept").is(http.StatusBadRequest, badPattern)
		})
		e.run("the patterns before the one manager", func(e *env) {
			e.do("stranger", strangersManager.UUID, "accept").is(http.StatusBadRequest, badPattern)
		})
		e.run("the retired role", func(e *env) {
			e.do("invitee", invitees.UUID, "accept").is(http.StatusBadRequest, roleRetired)
		})
		e.run("the one manager", func(e *env) {
			e.do("invitee", managers.UUID, "accept").is(http.StatusBadRequest, hasManager)
		})
		e.applyReplaced("description: Project manager, scope_type: project", "description: Project manager, scope_type: project, is_active: false")
		e.run("the retired role before the one manager", func(e *env) {
			e.do("invitee", managers.UUID, "accept").is(http.StatusBadRequest, roleRetired)
		})
	}, everyRule)
}

func TestRejectedAcceptChangesNothing(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, apollo)
		before := e.retrieve(made.UUID)
		e.do("stranger", made.UUID, "accept").is(http.StatusBadRequest, otherEmail)
		require.Equal(e.t, before, e.retrieve(made.UUID))
		require.Empty(e.t, e.emails("stranger", ""))
		require.Equal(e.t, "0", e.value("SELECT CAST(count(*) AS TEXT) FROM memberships WHERE user_uuid = '"+
			e.userID("stranger").String()+"'"))
	}, strictCheck)
}
