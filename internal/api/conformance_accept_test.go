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
	accepted = detail("Invitation has been successfully accepted.")

	sameRole    = rule("User has already the same role in this scope.")
	otherEmail  = rule("User’s email and email of the invitation are not equal.")
	otherRole   = rule("User already has role within this scope.")
	badPattern  = rule("User’s email does not match the email patterns of the organization or the scope.")
	roleRetired = rule("Role of the invitation is not active any more.")
	hasManager  = rule(msgManager)
)

func strictCheck(p *invitation.Policy)     { p.StrictCheck = true }
func disableMultiple(p *invitation.Policy) { p.DisableMultipleRoles = true }

func TestAcceptGivesTheRole(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "anybody@x.example", manager, apollo)
		require.Empty(w.t, w.emails("stranger", ""))
		w.do("stranger", made.UUID, "accept").is(http.StatusOK, accepted)
		require.Equal(w.t, "accepted", w.state(made.UUID))

		// They manage the project now.
		require.Equal(w.t, []string{"anybody@x.example"}, w.emails("stranger", ""))
		w.create("stranger", "next@x.example", admin, apollo)

		var out bytes.Buffer
		require.NoError(w.t, dirfile.Export(w.t.Context(), w.db.Directory(), &out))
		require.Equal(w.t, 1, strings.Count(out.String(), "user: stranger"))
		require.Regexp(w.t, `user: stranger\n +role: PROJECT\.MANAGER\n`, out.String())

		of := "FROM memberships WHERE user_uuid = '" + w.userID("stranger").String() + "'"
		require.Equal(w.t, w.userID("owner").String(), w.value("SELECT created_by_uuid "+of), "the inviter gave the role")
		require.Equal(w.t, apollo, w.value("SELECT scope_uuid "+of))
	})
}

func TestAcceptHappensOnce(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "anybody@x.example", admin, apollo)
		w.do("stranger", made.UUID, "accept").is(http.StatusOK, accepted)
		w.do("stranger", made.UUID, "accept").is(http.StatusNotFound, notFound)
		w.do("invitee", made.UUID, "accept").is(http.StatusNotFound, notFound)
	})
}

func TestOnlyAPendingInvitationIsAccepted(t *testing.T) {
	inEachWorld(t, func(w *world) {
		for state, id := range everyState(w) {
			if state != "pending" {
				w.do("invitee", id, "accept").is(http.StatusNotFound, notFound)
				w.do("staff", id, "accept").is(http.StatusNotFound, notFound)
				require.Equal(w.t, state, w.state(id))
			}
		}
		w.do("staff", uuid.New(), "accept").is(http.StatusNotFound, notFound)
		w.request("POST", at("nonsense", "accept"), "staff", nil).is(http.StatusNotFound, notFound)
	}, onlyStaff)
}

func TestACivilNumberIsForItsOwner(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "anybody@x.example", admin, apollo, "civil_number", "1234")
		for _, user := range []string{"stranger", "owner", "staff", "support", "member"} {
			w.do(user, made.UUID, "accept").is(http.StatusNotFound, notFound)
		}
		w.do("invitee", made.UUID, "accept").is(http.StatusOK, accepted)
	})
}

func TestAnEnforcedEmailIsForItsOwner(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "INVITEE@university.EXAMPLE", admin, apollo)
		for _, user := range []string{"stranger", "owner", "staff"} {
			w.do(user, made.UUID, "accept").is(http.StatusNotFound, notFound)
		}
		w.do("invitee", made.UUID, "accept").is(http.StatusOK, accepted)
		both := w.create("owner", "invitee@university.example", admin, artemis, "civil_number", "5")
		w.do("invitee", both.UUID, "accept").is(http.StatusNotFound, notFound)
	}, validateEmail)
}

func TestARemovedScopeIsNotAccepted(t *testing.T) {
	inEachWorld(t, func(w *world) {
		inProject := w.create("owner", "a@x.example", admin, apollo)
		inCustomer := w.create("rival", "a@x.example", admin, hydra)
		w.rewrite(apolloHead, apolloRemoved, "description: 100% others_", "description: 100% others_\n    is_removed: true")
		for _, id := range []uuid.UUID{inProject.UUID, inCustomer.UUID} {
			w.do("stranger", id, "accept").is(http.StatusNotFound, notFound)
			require.Equal(w.t, "pending", w.state(id))
		}
	})
}

func TestTheSameRoleIsNotGivenTwice(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@x.example", member, apollo)
		w.do("member", made.UUID, "accept").is(http.StatusBadRequest, sameRole)
		require.Equal(w.t, "pending", w.state(made.UUID), "still there for somebody else")
		// The same role elsewhere and another role here are something else.
		elsewhere := w.create("owner", "member@acme.example", member, strict)
		another := w.create("owner", "a@x.example", admin, apollo)
		w.do("member", elsewhere.UUID, "accept").is(http.StatusOK, accepted)
		w.do("member", another.UUID, "accept").is(http.StatusOK, accepted)
		// A membership that was revoked is none.
		w.rewrite("{user: member, role: PROJECT.MEMBER}", "{user: member, role: PROJECT.MEMBER, is_active: false}")
		w.do("member", made.UUID, "accept").is(http.StatusOK, accepted)
	})
}

func TestARoleWhoseTimeIsOverCanBeGivenAgain(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.rewrite("{user: member, role: PROJECT.MEMBER}",
			"{user: member, role: PROJECT.MEMBER, expiration_time: 2026-11-23T10:30:00Z}")
		made := w.create("owner", "a@x.example", member, apollo)
		w.wait(w.moment("2026-11-23T10:29:59.999999Z"))
		w.do("member", made.UUID, "accept").is(http.StatusBadRequest, sameRole)
		w.wait(w.moment("2026-11-23T10:30:00.000000Z"))
		w.do("member", made.UUID, "accept").is(http.StatusOK, accepted)
	})
}

func TestStrictCheckRefusesAnotherEmail(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "INVITEE@university.EXAMPLE", admin, apollo)
		w.do("stranger", made.UUID, "accept").is(http.StatusBadRequest, otherEmail)
		w.do("staff", made.UUID, "accept").is(http.StatusBadRequest, otherEmail)
		require.Equal(w.t, "pending", w.state(made.UUID))
		w.do("invitee", made.UUID, "accept").is(http.StatusOK, accepted)
	}, strictCheck)
}

func TestSeveralRolesCanBeForbidden(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@x.example", admin, apollo)
		w.do("member", made.UUID, "accept").is(http.StatusBadRequest, otherRole)
		w.do("owner", made.UUID, "accept").is(http.StatusOK, accepted) // a role in the customer is not in the scope
	}, disableMultiple)
}

func TestPatternsAreForTheCaller(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@acme.example", admin, strict)
		w.do("stranger", made.UUID, "accept").is(http.StatusBadRequest, badPattern)
		w.do("rival", made.UUID, "accept").is(http.StatusBadRequest, badPattern)
		require.Equal(w.t, "pending", w.state(made.UUID))
		w.do("invitee", made.UUID, "accept").is(http.StatusOK, accepted) // Invitee@University.example

		// So are the patterns of the customer.
		other := w.create("owner", "a@x.example", admin, apollo)
		w.rewrite("description: Makers of things", "description: Makers of things\n    user_email_patterns: ['.*@acme\\.example']")
		w.do("stranger", other.UUID, "accept").is(http.StatusBadRequest, badPattern)
		w.do("reader", other.UUID, "accept").is(http.StatusOK, accepted)
	})
}

func TestARetiredRoleIsNotGiven(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@x.example", admin, apollo)
		w.rewrite(adminRole, adminRoleRetired)
		w.do("stranger", made.UUID, "accept").is(http.StatusBadRequest, roleRetired)
		w.rewrite()
		w.do("stranger", made.UUID, "accept").is(http.StatusOK, accepted)
	})
}

func TestASecondManagerIsRefusedWhereOneIsTheLimit(t *testing.T) {
	inEachWorld(t, func(w *world) {
		first := w.create("owner", "a@acme.example", manager, strict)
		second := w.create("owner", "b@acme.example", manager, strict)
		w.do("reader", first.UUID, "accept").is(http.StatusOK, accepted)
		w.do("invitee", second.UUID, "accept").is(http.StatusBadRequest, hasManager)
		require.Equal(w.t, "pending", w.state(second.UUID))
	}, oneManager)
}

func everyRule(p *invitation.Policy) {
	strictCheck(p)
	disableMultiple(p)
	oneManager(p)
}

// TestOrderOfTheChecksOnAccept breaks two rules at a time: the earlier one is the one that is reported.
func TestOrderOfTheChecksOnAccept(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.apply(`users: [{username: outsider, email: outsider@x.example, tokens: [outsider-key]}]
customers: [{name: Acme, uuid: ` + acme + `, description: Makers of things, projects: [
  {name: Apollo, uuid: ` + apollo + `, description: To the moon, members: [{user: outsider, role: PROJECT.MEMBER}]}]}]`)
		hidden := w.create("owner", "member@acme.example", member, apollo, "civil_number", "77")
		w.run("404 before the same role", func(w *world) {
			w.do("member", hidden.UUID, "accept").is(http.StatusNotFound, notFound)
		})
		same := w.create("owner", "a@x.example", member, apollo)
		w.run("the same role before the e-mail", func(w *world) {
			w.do("member", same.UUID, "accept").is(http.StatusBadRequest, sameRole)
		})
		other := w.create("owner", "a@x.example", admin, apollo)
		w.run("the e-mail before several roles", func(w *world) {
			w.do("member", other.UUID, "accept").is(http.StatusBadRequest, otherEmail)
		})
		outsiders := w.create("owner", "outsider@x.example", admin, apollo)
		strangers := w.create("owner", "stranger@example.org", admin, apollo)
		invitees := w.create("owner", "invitee@university.example", admin, apollo)
		w.exec("DELETE FROM memberships WHERE user_uuid = '" + w.userID("manager").String() + "'")
		managers := w.create("owner", "invitee@university.example", manager, apollo)
		strangersManager := w.create("owner", "stranger@example.org", manager, apollo)
		w.rewrite(apolloHead, apolloHead+"        user_email_patterns: ['.*@(acme|university)\\.example']\n",
			adminRole, adminRoleRetired)
		w.run("several roles before the patterns", func(w *world) {
			w.do("outsider", outsiders.UUID, "accept").is(http.StatusBadRequest, otherRole)
		})
		w.run("the patterns before the retired role", func(w *world) {
			w.do("stranger", strangers.UUID, "accept").is(http.StatusBadRequest, badPattern)
		})
		w.run("the patterns before the one manager", func(w *world) {
			w.do("stranger", strangersManager.UUID, "accept").is(http.StatusBadRequest, badPattern)
		})
		w.run("the retired role", func(w *world) {
			w.do("invitee", invitees.UUID, "accept").is(http.StatusBadRequest, roleRetired)
		})
		w.run("the one manager", func(w *world) {
			w.do("invitee", managers.UUID, "accept").is(http.StatusBadRequest, hasManager)
		})
		w.rewrite("description: Project manager, scope_type: project", "description: Project manager, scope_type: project, is_active: false")
		w.run("the retired role before the one manager", func(w *world) {
			w.do("invitee", managers.UUID, "accept").is(http.StatusBadRequest, roleRetired)
		})
	}, everyRule)
}

func TestARefusedAcceptChangesNothing(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@x.example", admin, apollo)
		before := w.see(made.UUID)
		w.do("stranger", made.UUID, "accept").is(http.StatusBadRequest, otherEmail)
		require.Equal(w.t, before, w.see(made.UUID))
		require.Empty(w.t, w.emails("stranger", ""))
		require.Equal(w.t, "0", w.value("SELECT CAST(count(*) AS TEXT) FROM memberships WHERE user_uuid = '"+
			w.userID("stranger").String()+"'"))
	}, strictCheck)
}
