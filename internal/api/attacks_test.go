package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/database"
	"invited/internal/invitation"
	"invited/internal/store"
	"invited/internal/storetest"
	"invited/internal/token"
)

// Each test of this file is an attack that worked once.

// With links of their own, an invitation is not taken by whoever reads it: no response shows the link, and the uuid admits
// only the user with the address. Under waldur the uuid admits, as the API document says.
func TestReaderCanNotAccept(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.service.Policy.LinkSecret = true
		made := e.create("staff", "boss@elsewhere.example", owner, acme)
		link := e.stored(made.UUID).LinkUUID
		require.NotNil(e.t, link)
		for _, user := range []string{"support", "reader"} {
			_, listed := e.list(user, "")
			require.Contains(e.t, listed.Body, made.UUID.String())
			for _, answer := range []response{
				listed, e.request("GET", at(made.UUID.String()), user, nil), e.request("GET", at(made.UUID.String(), "details"), user, nil),
				e.request("GET", at(made.UUID.String(), "events"), "staff", nil),
			} {
				answer.is(http.StatusOK, "")
				require.NotContains(e.t, answer.Body, link.String())
			}
			e.do(user, made.UUID, "accept").is(http.StatusNotFound, notFound)
		}
		e.do("", made.UUID, "check").is(http.StatusNotFound, notFound)
		e.do("", *link, "check").is(http.StatusOK, `{"email": "boss@elsewhere.example"}`)
		e.do("stranger", *link, "accept").is(http.StatusOK, "")

		e.service.Policy.LinkSecret = false
		other := e.create("staff", "chief@elsewhere.example", owner, acme)
		e.do("reader", other.UUID, "accept").is(http.StatusOK, "")
	})
}

// An invitation from the time before links of their own gets one when it is sent again.
func TestSendGivesLink(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("staff", "boss@elsewhere.example", owner, acme)
		e.service.Policy.LinkSecret = true
		require.Nil(e.t, e.stored(made.UUID).LinkUUID)
		e.do("staff", made.UUID, "send").is(http.StatusOK, "")
		first := e.stored(made.UUID).LinkUUID
		require.NotNil(e.t, first)
		e.do("stranger", made.UUID, "accept").is(http.StatusNotFound, notFound)
		e.do("staff", made.UUID, "send").is(http.StatusOK, "")
		require.Equal(e.t, first, e.stored(made.UUID).LinkUUID, "the link that was mailed works on")
	})
}

// Where only staff may invite, a manager can't reopen what staff canceled, and then accept it.
func TestSendDoesNotReopenWithoutStaff(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("staff", "boss@elsewhere.example", admin, apollo)
		e.do("staff", made.UUID, "cancel").is(http.StatusOK, "")
		e.do("manager", made.UUID, "send").is(http.StatusOK, "")
		require.Equal(e.t, "requested", e.state(made.UUID))
		e.do("manager", made.UUID, "accept").is(http.StatusNotFound, notFound)
		e.do("manager", made.UUID, "send").is(http.StatusBadRequest, sendError)
		require.Len(e.t, e.noticeJobs(made.UUID), 1, "staff are asked")
		e.decide("approve", e.sign(token.Approve, e.userID("staff"), made.UUID)).is(http.StatusOK, "")
		require.Equal(e.t, "pending", e.state(made.UUID))
	}, onlyStaff)
}

// climber holds CUSTOMER.CREATE_PERMISSION in a role of its own, and not INVITATION.LIST, which an owner has.
const climber = `
roles:
  - {name: CUSTOMER.CLIMBER, scope_type: customer, permissions: [CUSTOMER.CREATE_PERMISSION]}
users:
  - {username: climber, email: climber@acme.example, tokens: [climber-key]}
customers:
  - {name: Acme, uuid: ` + acme + `, members: [{user: climber, role: CUSTOMER.CLIMBER}]}
`

// Nobody gives a role with permissions that they don't hold, in any of the ways in which a role is offered.
func TestRoleCeiling(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply(climber)
		own := func(role string) map[string]any { return draft("climber@acme.example", role, acme) }

		e.request("POST", base, "climber", own(owner)).is(http.StatusNotFound, notFound)
		e.request("POST", base, "climber", own(reader)).is(http.StatusNotFound, notFound)
		// A create permission of another type gives nothing that CUSTOMER.CREATE_PERMISSION does not.
		e.request("POST", base, "climber", draft("climber@acme.example", manager, apollo)).is(http.StatusCreated, "")

		byStaff := e.create("staff", "climber@acme.example", owner, acme)
		for _, answer := range []response{
			e.do("climber", byStaff.UUID, "send"),
			e.request("PATCH", at(byStaff.UUID.String()), "climber", map[string]string{"email": "mine@acme.example"}),
			e.request("PUT", at(byStaff.UUID.String()), "climber", map[string]string{"email": "mine@acme.example", "role": owner}),
		} {
			answer.is(http.StatusNotFound, notFound)
		}
		require.Equal(e.t, "climber@acme.example", e.retrieve(byStaff.UUID).Email)
		e.do("staff", byStaff.UUID, "send").is(http.StatusOK, "")

		// A project manager holds no permission in the customer, and an owner holds all of them.
		e.request("POST", base, "manager", draft("new@acme.example", manager, apollo)).is(http.StatusCreated, "")
		e.request("POST", base, "owner", draft("new@acme.example", owner, acme)).is(http.StatusCreated, "")
	}, func(p *invitation.Policy) { p.RoleCeiling = true })
}

// An edit to a role above the ceiling changes nothing.
func TestRoleCeilingOfAnEditedRole(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply("roles: [{name: PROJECT.LEAD, uuid: 0d9d2d62-53dc-4d25-92f4-1f2f0b9e7e10, scope_type: project, permissions: [X.Y]}]")
		made := e.create("manager", "new@acme.example", admin, apollo)
		e.request("PATCH", at(made.UUID.String()), "manager", map[string]string{"role": "0d9d2d62-53dc-4d25-92f4-1f2f0b9e7e10"}).
			is(http.StatusNotFound, notFound)
		require.Equal(e.t, made, e.retrieve(made.UUID))
		e.request("PATCH", at(made.UUID.String()), "manager", map[string]string{"role": member}).is(http.StatusOK, "")
	}, func(p *invitation.Policy) { p.RoleCeiling = true })
}

// Staff can't let a request go out whose inviter has lost the role's permissions since.
func TestRoleCeilingAtApproval(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("manager", "new@acme.example", manager, apollo)
		approval := e.sign(token.Approve, e.userID("staff"), made.UUID)
		e.apply("customers: [{name: Acme, uuid: " + acme + ", projects: [{name: Apollo, uuid: " + apollo +
			", members: [{user: manager, role: PROJECT.MANAGER, is_active: false}]}]}]")
		e.decide("approve", approval).is(http.StatusNotFound, `{"detail": "The inviter may not give this role in this scope any more."}`)
		require.Equal(e.t, "requested", e.state(made.UUID))
		e.service.Policy.RoleCeiling = false
		e.decide("approve", approval).is(http.StatusOK, "")
	}, onlyStaff, func(p *invitation.Policy) { p.RoleCeiling = true })
}

// An invitation is worth nothing once its inviter may not invite. The inviter is told once.
func TestInviterIsCheckedAgain(t *testing.T) {
	const mayNot = `["Whoever invited you may not invite into this scope any more. Ask for another invitation."]`
	onEachEngine(t, func(e *env) {
		made := e.create("manager", "invitee@university.example", admin, apollo)
		isManager := func(active string) {
			e.apply("customers: [{name: Acme, uuid: " + acme + ", projects: [{name: Apollo, uuid: " + apollo +
				", members: [{user: manager, role: PROJECT.MANAGER, is_active: " + active + "}]}]}]")
		}
		isManager("false")
		for range 3 {
			e.do("invitee", made.UUID, "accept").is(http.StatusBadRequest, mayNot)
		}
		require.Equal(e.t, "pending", e.state(made.UUID))
		require.Equal(e.t, []invitation.Notify{{
			Notice: invitation.NoticeRefused, Invitation: made.UUID, User: e.userID("manager"),
		}}, e.noticeJobs(made.UUID))
		require.Equal(e.t, 1, len(e.events(made.UUID))-1)
		e.apply("users: [{username: manager, is_active: false}]")
		isManager("true")
		e.do("invitee", made.UUID, "accept").is(http.StatusBadRequest, mayNot)
		e.apply("users: [{username: manager, is_active: true}]")
		e.do("invitee", made.UUID, "accept").is(http.StatusOK, "")

		ofOwner := e.create("owner", "invitee@university.example", member, apollo)
		e.deleteOwner()
		e.do("invitee", ofOwner.UUID, "accept").is(http.StatusBadRequest, mayNot)
	}, func(p *invitation.Policy) { p.RecheckInviter = true })
}

// Who may not manage a scope that they see learns nothing of who is invited there, or of who is admitted.
func TestCreateTellsStrangersNothing(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.create("staff", "boss@acme.example", admin, strict)
		for _, body := range []map[string]any{
			draft("boss@acme.example", admin, strict),  // open already
			draft("boss@other.example", admin, strict), // not admitted
			draft("new@acme.example", admin, strict),
			draft("new@acme.example", seller, strict), // of another type
			draft("new@acme.example", uuid.NewString(), strict),
		} {
			e.request("POST", base, "reader", body).is(http.StatusNotFound, notFound)
		}
	})
}

// A filter on a field that nobody is shown would show it, a digit at a time.
func TestHiddenFieldIsNoFilter(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.request("POST", base, "owner", draft("a@x.example", admin, apollo, "civil_number", "1234")).is(http.StatusCreated, "")
		for _, hidden := range []bool{false, true} {
			if hidden {
				e.service.Policy.AllowedFields = []string{"full_name"}
			}
			_, matched := e.list("owner", "civil_number=1234")
			_, other := e.list("owner", "civil_number=1235")
			require.Equal(e.t, "1", matched.Header.Get("X-Result-Count"))
			require.Equal(e.t, either(hidden, "1", "0"), other.Header.Get("X-Result-Count"))
			require.Equal(e.t, either(hidden, "1", "0"),
				e.request("HEAD", base+"?civil_number=1235", "owner", nil).Header.Get("X-Result-Count"))
		}
	})
}

// A text that nobody signed reaches no database, and so makes no other writer wait.
func TestUnsignedTokenMakesNoStatement(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		statements := &storetest.Statements{}
		e := newEnv(t, engine, envConfig{open: func(clock func() time.Time) *store.Store {
			return statements.Open(t, engine.Fresh(t), database.Options{Clock: clock})
		}})
		signed := e.sign(token.Approve, e.userID("staff"), uuid.New())
		for _, action := range []string{"approve", "reject"} {
			statements.Take()
			for _, text := range []string{"x", signed + "x", signed[:len(signed)-2], "v1.e30.e30"} {
				e.decide(action, text).is(http.StatusBadRequest, `["Invalid signature."]`)
			}
			require.Empty(t, statements.Take(), action)
		}
	})
}

// An invitation stands on the authority of who offered it last: by another address or role, or by sending it again after it
// was canceled.
func TestInviterIsWhoOfferedLast(t *testing.T) {
	const mayNot = `["Whoever invited you may not invite into this scope any more. Ask for another invitation."]`
	onEachEngine(t, func(e *env) {
		isManager := func(active string) {
			e.apply("customers: [{name: Acme, uuid: " + acme + ", projects: [{name: Apollo, uuid: " + apollo +
				", members: [{user: manager, role: PROJECT.MANAGER, is_active: " + active + "}]}]}]")
		}
		for name, offer := range map[string]func(id uuid.UUID){
			"another address": func(id uuid.UUID) {
				e.request("PATCH", at(id.String()), "manager", map[string]string{"email": "invitee@university.example"}).is(http.StatusOK, "")
			},
			"sent again": func(id uuid.UUID) {
				e.request("PATCH", at(id.String()), "staff", map[string]string{"email": "invitee@university.example"}).is(http.StatusOK, "")
				e.do("manager", id, "cancel").is(http.StatusOK, "")
				e.do("manager", id, "send").is(http.StatusOK, "")
			},
		} {
			isManager("true")
			made := e.create("staff", "honest@university.example", admin, apollo)
			offer(made.UUID)
			require.Equal(e.t, "staff", e.retrieve(made.UUID).CreatedByUsername, "the creator stays")
			isManager("false")
			link := e.stored(made.UUID).LinkUUID
			e.do("invitee", *link, "accept").is(http.StatusBadRequest, mayNot)
			require.Equal(e.t, e.userID("manager"), e.noticeJobs(made.UUID)[0].User, name)
			e.do("staff", made.UUID, "cancel").is(http.StatusOK, "")
		}
	}, func(p *invitation.Policy) { p.RecheckInviter, p.LinkSecret = true, true })
}

// A link that approved one request does not approve a later one of the same invitation.
func TestApprovalIsForOneRequest(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("manager", "new@acme.example", admin, apollo)
		approval := e.sign(token.Approve, e.userID("staff"), made.UUID)
		e.decide("approve", approval).is(http.StatusOK, "")
		e.do("staff", made.UUID, "cancel").is(http.StatusOK, "")
		e.clock.Advance(time.Second)
		e.do("manager", made.UUID, "send").is(http.StatusOK, "")
		require.Equal(e.t, "requested", e.state(made.UUID))
		e.decide("approve", approval).is(http.StatusBadRequest, tokenError)
		e.decide("approve", e.sign(token.Approve, e.userID("staff"), made.UUID)).is(http.StatusOK, "")
	}, onlyStaff)
}
