package api_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/gen/server"
	"invited/internal/directory/dirfile"
	"invited/internal/joining"
)

// submit has a user ask to take up a group invitation.
func (e *env) submit(user, group string, more ...any) (made server.SubmitRequestResponse) {
	e.t.Helper()
	e.request("POST", groupAt(group, "submit_request"), user, withFields(map[string]any{}, more...)).is(http.StatusOK, "").decode(&made)
	return made
}

// announce does the job of a new request, and returns who is to be told, by username.
func (e *env) announce(id uuid.UUID) (told []string) {
	e.t.Helper()
	require.NoError(e.t, e.joining.Announce(e.context(), joining.Announce{Request: id}))
	for _, args := range e.queued("notify_permission_request") {
		var job joining.Notify
		require.NoError(e.t, json.Unmarshal(args, &job))
		if job.Request == id && job.Notice == joining.NoticeSubmitted {
			told = append(told, e.value("SELECT username FROM users WHERE uuid = '"+job.User.String()+"'"))
		}
	}
	slices.Sort(told)
	return told
}

// seesRequest returns a permission request as a user sees it.
func (e *env) seesRequest(user, id string) (found server.PermissionRequest) {
	e.t.Helper()
	e.request("GET", requestAt(id), user, nil).is(http.StatusOK, "").decode(&found)
	return found
}

// holds reports whether a user holds a role in a scope.
func (e *env) holds(user, role, scope string) bool {
	e.t.Helper()
	return e.value("SELECT CAST(count(*) AS text) FROM memberships m JOIN users u ON u.uuid = m.user_uuid WHERE u.username = '"+user+
		"' AND m.revoked IS NULL AND m.role_uuid = '"+role+"' AND m.scope_uuid = '"+scope+"'") != "0"
}

// notMeant refuses a submission by a user who meets no restriction of the group invitation.
var notMeant = ruleError("You are not allowed to accept this invitation. Your email or organization must match the invitation restrictions.")

const conflict = `{"detail": "Valid states for operation: pending."}`

// The whole way: a stranger asks, an approver sees it and approves, and the stranger holds the role.
func TestAskAndApprove(t *testing.T) {
	onEachEngine(t, func(e *env) {
		group := e.group("owner", member, apollo).UUID.String()
		made := e.submit("stranger", group, "project_name", "dropped", "project_description", "too")
		require.False(e.t, made.AutoApproved)
		require.Nil(e.t, made.ProjectUUID)
		id := made.UUID.String()
		asked := e.seesRequest("owner", id)
		require.EqualValues(e.t, "pending", asked.State)
		require.Equal(e.t, "stranger@example.org", asked.CreatedByEmail)
		require.Empty(e.t, asked.ProjectName)
		require.Equal(e.t, asked, e.seesRequest("stranger", id))
		require.Equal(e.t, asked, e.seesRequest("reader", id))
		require.Equal(e.t, asked, e.seesRequest("support", id))
		e.request("GET", requestAt(id), "rival", nil).is(http.StatusNotFound, notFound)
		e.request("GET", requestAt(id), "manager", nil).is(http.StatusNotFound, notFound) // has no role in the customer
		require.False(e.t, e.holds("stranger", member, apollo))

		approved := e.request("POST", requestAt(id, "approve"), "owner", map[string]string{"comment": " Welcome "}).is(http.StatusOK, "")
		require.Empty(e.t, approved.Body)
		require.True(e.t, e.holds("stranger", member, apollo))
		seen := e.seesRequest("stranger", id)
		require.EqualValues(e.t, "approved", seen.State)
		require.Equal(e.t, "Welcome", *seen.ReviewComment)
		require.Equal(e.t, "owner", *seen.ReviewedByUsername)
		require.Equal(e.t, formatTime(e.clock.Now()), *seen.ReviewedAt)
		require.Equal(e.t, e.userID("owner").String(), e.value("SELECT CAST(created_by_uuid AS text) FROM memberships m WHERE m.user_uuid = '"+e.userID("stranger").String()+"'"))

		var events []server.GroupInvitationEvent
		e.request("GET", groupAt(group, "events"), "owner", nil).is(http.StatusOK, "").decode(&events)
		require.Equal(e.t, []string{
			"Permission request of stranger for Apollo has been approved by owner: PROJECT.MEMBER in Apollo.",
			"Permission request of stranger for Apollo has been submitted by stranger.",
			"Group invitation for Apollo has been created by owner.",
		}, []string{events[0].Message, events[1].Message, events[2].Message})
		require.Equal(e.t, id, events[0].PermissionRequestUUID.String())
		require.Equal(e.t, []string{"pending", "approved", "Welcome"}, []string{events[0].FromState, events[0].ToState, events[0].Comment})
		require.NotEmpty(e.t, events[0].RequestID)
	})
}

// The refusals of a submission come in their order: each step takes away what refused the one before.
func TestSubmitChecksInOrder(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.joining.Policy.ProjectName = regexp.MustCompile(`^[a-z]+$`)
		group := e.group("owner", member, apollo, "user_email_patterns", []string{`.*@nowhere\.example`}).UUID.String()
		other := e.group("owner", admin, apollo).UUID.String()
		e.submit("member", other)
		e.joining.Policy.DisableMultipleRoles = true
		e.applyReplaced(apolloUUID, apolloPatterns, "member@acme.example", "member@other.example")
		submit := func(body any, want string) {
			e.t.Helper()
			e.request("POST", groupAt(group, "submit_request"), "member", body).is(http.StatusBadRequest, want)
		}
		edit := func(fields ...any) {
			e.t.Helper()
			e.request("PATCH", groupAt(group), "owner", withFields(map[string]any{}, fields...)).is(http.StatusOK, "")
		}
		submit(map[string]string{"project_name": "X1"}, fieldError("project_name", "Project names have to match the pattern ^[a-z]+$."))
		edit("expires", formatTime(e.clock.Now().Add(time.Minute)))
		e.clock.Advance(time.Minute)
		submit(map[string]string{"project_name": ""}, ruleError("Only pending invitation can be requested."))
		e.exec("UPDATE group_invitations SET expires = NULL")
		submit(nil, ruleError("User already has this role in the scope."))
		edit("role", manager)
		submit(nil, ruleError("User already has role within this scope."))
		e.joining.Policy.DisableMultipleRoles = false
		submit(nil, ruleError("Permission request already exists for this scope."))
		edit("allow_multiple_requests", true)
		submit(nil, notMeant)
		edit("user_email_patterns", []string{`no`, `MEMBER@.*`})
		submit(nil, ruleError("User email, affiliation, or identity source does not match the project restrictions."))
		e.apply(strings.Replace(directoryFile, "description: Makers of things", "description: Makers of things\n    user_email_patterns: ['.*@acme\\.example']", 1))
		e.exec("UPDATE users SET email = 'member@other.example', email_folded = 'member@other.example' WHERE username = 'member'")
		submit(nil, ruleError("User email, affiliation, or identity source does not match the customer restrictions."))
		require.Equal(e.t, "1", e.countRows("permission_requests"))
	})
}

// A restriction by issuer is met by who has signed in there. Affiliations are met by nobody yet.
func TestIdentitySources(t *testing.T) {
	onEachEngine(t, func(e *env) {
		by := e.group("owner", member, apollo, "user_identity_sources", []string{"https://campus.example"}, "user_affiliations", []string{"staff"}).UUID.String()
		e.request("POST", groupAt(by, "submit_request"), "stranger", nil).is(http.StatusBadRequest, notMeant)
		now := "'" + strings.TrimSuffix(strings.Replace(formatTime(e.clock.Now()), "T", " ", 1), "Z") + "+00:00'"
		e.exec("INSERT INTO identities (issuer, subject, user_uuid, created, last_used, gives_staff) VALUES ('https://campus.example', 'x', '" +
			e.userID("stranger").String() + "', " + now + ", " + now + ", FALSE)")
		e.submit("stranger", by)
	})
}

// An approved request keeps the next one away only while its membership is in force.
func TestAskAgainAfterTheRoleEnded(t *testing.T) {
	onEachEngine(t, func(e *env) {
		group := e.group("owner", member, apollo).UUID.String()
		other := e.group("owner", admin, apollo).UUID.String()
		id := e.submit("stranger", group).UUID.String()
		e.request("POST", requestAt(id, "approve"), "owner", nil).is(http.StatusOK, "")
		e.request("POST", groupAt(other, "submit_request"), "stranger", nil).
			is(http.StatusBadRequest, ruleError("Permission request already exists for this scope."))
		e.exec("UPDATE memberships SET revoked = created WHERE user_uuid = '" + e.userID("stranger").String() + "'")
		e.submit("stranger", other)
	})
}

// With auto_approve the caller reviews their own request.
func TestAutoApprove(t *testing.T) {
	onEachEngine(t, func(e *env) {
		group := e.group("owner", member, apollo, "auto_approve", true).UUID.String()
		made := e.submit("stranger", group)
		require.True(e.t, made.AutoApproved)
		require.True(e.t, e.holds("stranger", member, apollo))
		require.Equal(e.t, "stranger", *e.seesRequest("stranger", made.UUID.String()).ReviewedByUsername)
		require.Zero(e.t, e.countJobs("announce_permission_request"))
		var events []server.GroupInvitationEvent
		e.request("GET", groupAt(group, "events"), "owner", nil).is(http.StatusOK, "").decode(&events)
		require.Equal(e.t, []string{"approved", "submitted"}, []string{string(events[0].EventType), string(events[1].EventType)})
	})
}

// Where the creator may not invite any more, a request is not approved by itself, and waits for a person.
func TestRecheckCreator(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.joining.Policy.RecheckInviter = true
		group := e.group("manager", member, apollo, "auto_approve", true).UUID.String()
		require.True(e.t, e.submit("stranger", group).AutoApproved)
		e.apply("roles: [{name: PROJECT.MANAGER, scope_type: project, permissions: []}]")
		waits := e.submit("invitee", group)
		require.False(e.t, waits.AutoApproved)
		require.Equal(e.t, 1, e.countJobs("announce_permission_request"))
		require.Equal(e.t, []string{"owner"}, e.announce(waits.UUID))
		require.False(e.t, e.holds("invitee", member, apollo))
	})
}

// A group invitation stands on the authority of who edited it last. The API goes on showing who created it.
func TestRecheckWhoEditedLast(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.joining.Policy.RecheckInviter = true
		group := e.group("manager", member, apollo, "auto_approve", true, "allow_multiple_requests", true).UUID.String()
		deactivate := func(user string, active string) {
			e.exec("UPDATE users SET is_active = " + active + " WHERE username = '" + user + "'")
		}
		edit := func(user string) {
			e.request("PATCH", groupAt(group), user, map[string]any{"custom_text": user}).is(http.StatusOK, "")
		}
		edit("owner")
		require.Equal(e.t, "manager", *e.seesGroup("owner", group).CreatedByUsername)
		deactivate("manager", "FALSE")
		require.True(e.t, e.submit("stranger", group).AutoApproved)
		deactivate("manager", "TRUE")
		deactivate("owner", "FALSE")
		require.False(e.t, e.submit("invitee", group).AutoApproved)
		edit("manager")
		require.True(e.t, e.submit("rival", group).AutoApproved)
		e.exec("DELETE FROM users WHERE username = 'manager'")
		require.False(e.t, e.submit("sibling", group).AutoApproved)
	})
}

// Where the link alone may admit nobody, neither a pattern that everybody's address matches helps, nor an offer that was made
// before: its requests wait for a person.
func TestNoOpenDoor(t *testing.T) {
	onEachEngine(t, func(e *env) {
		many := append(slices.Repeat([]string{"no"}, 11), ".*")
		before := e.group("owner", member, apollo, "auto_approve", true, "allow_multiple_requests", true, "user_email_patterns", many).UUID.String()
		require.True(e.t, e.submit("invitee", before).AutoApproved)
		e.joining.Policy.RestrictAutoApprove = true
		require.False(e.t, e.submit("stranger", before).AutoApproved)
		require.Equal(e.t, 1, e.countJobs(joining.Announce{}.Kind()))
		const open = "Add an e-mail pattern, an affiliation or an identity source: here the link alone may admit nobody."
		e.request("PATCH", groupAt(before), "owner", map[string]any{"custom_text": "x"}).is(http.StatusBadRequest, fieldError("auto_approve", open))
		e.request("POST", groups, "owner", groupDraft(member, apollo, "auto_approve", true, "user_email_patterns", []string{".*"})).
			is(http.StatusBadRequest, fieldError("auto_approve", open))
		e.request("PATCH", groupAt(before), "owner", map[string]any{"user_email_patterns": []string{"stranger@.*"}}).is(http.StatusOK, "")
		require.True(e.t, e.submit("stranger", before).AutoApproved)
	})
}

// A made project is found again by its name, whatever the case, by whom it was made for, and a removed one is not.
func TestMadeProjects(t *testing.T) {
	onEachEngine(t, func(e *env) {
		group := e.publicGroup("project_role", manager, "project_name_template", "Lab of {username}", "auto_approve", true,
			"allow_custom_project_details", true, "allow_multiple_requests", true).UUID.String()
		first := e.submit("stranger", group)
		require.True(e.t, *first.ProjectCreated)
		project := first.ProjectUUID.String()
		require.True(e.t, e.holds("stranger", manager, project))
		require.Equal(e.t, "Lab of stranger", e.value("SELECT name FROM scopes WHERE uuid = '"+project+"'"))
		require.Len(e.t, e.listGroups("stranger", ""), 1)
		e.request("GET", projectsPath+project+"/", "stranger", nil).is(http.StatusOK, "")

		second := e.submit("stranger", group, "project_name", "lab of STRANGER", "project_description", "ignored: it is there")
		require.False(e.t, *second.ProjectCreated)
		require.Equal(e.t, project, second.ProjectUUID.String())
		other := e.submit("rival", group, "project_name", "Gemini", "project_description", "Another")
		require.True(e.t, *other.ProjectCreated)
		require.Equal(e.t, "Another", e.value("SELECT description FROM scopes WHERE uuid = '"+other.ProjectUUID.String()+"'"))

		e.exec("UPDATE scopes SET is_removed = TRUE WHERE uuid = '" + project + "'")
		again := e.submit("reader", group, "project_name", "Lab of stranger")
		require.True(e.t, *again.ProjectCreated)
		require.NotEqual(e.t, project, again.ProjectUUID.String())
		var exported strings.Builder
		require.NoError(e.t, dirfile.Export(e.context(), e.db.FileStore(), &exported))
		require.Contains(e.t, exported.String(), "name: Lab of stranger")
		require.Contains(e.t, exported.String(), other.ProjectUUID.String())
		// Another apply of the file leaves made projects and their members alone.
		e.apply(directoryFile)
		require.True(e.t, e.holds("rival", manager, other.ProjectUUID.String()))
		require.Equal(e.t, "Another", e.value("SELECT description FROM scopes WHERE uuid = '"+other.ProjectUUID.String()+"'"))
	})
}

// A requester who may choose the name of a project gets no role in a project that no approval made: the name is refused as the
// request is made and as it is approved, and nothing stays.
func TestChosenNamesFindOnlyMadeProjects(t *testing.T) {
	onEachEngine(t, func(e *env) {
		taken := ruleError("The organization has a project of this name already, so the request needs another name.")
		rows := func() (counts []string) {
			for _, table := range []string{"permission_requests", "group_invitation_events", "memberships", "scopes"} {
				counts = append(counts, e.countRows(table))
			}
			return counts
		}
		waits := e.publicGroup("allow_custom_project_details", true, "allow_multiple_requests", true).UUID.String()
		approves := e.publicGroup("allow_custom_project_details", true, "auto_approve", true).UUID.String()
		untouched := rows()
		for _, group := range []string{waits, approves} {
			for _, name := range []string{"Apollo", "aPOLLO", " Apollo\u200b"} {
				e.request("POST", groupAt(group, "submit_request"), "stranger", map[string]string{"project_name": name}).
					is(http.StatusBadRequest, taken)
			}
		}
		require.Equal(e.t, untouched, rows())

		// The directory file takes the name while the request waits.
		id := e.submit("stranger", waits, "project_name", "Gemini").UUID.String()
		e.exec("UPDATE scopes SET name = 'Gemini', name_folded = 'gemini' WHERE uuid = '" + apollo + "'")
		untouched = rows()
		e.request("POST", requestAt(id, "approve"), "staff", nil).is(http.StatusBadRequest, taken)
		require.Equal(e.t, untouched, rows())
		require.EqualValues(e.t, "pending", e.seesRequest("staff", id).State)
		// The name stays the requester's also where the group invitation does not ask for one any more.
		e.request("PATCH", groupAt(waits), "staff", map[string]any{"allow_custom_project_details": false}).is(http.StatusOK, "")
		e.request("POST", requestAt(id, "approve"), "staff", nil).is(http.StatusBadRequest, taken)
		e.exec("UPDATE scopes SET is_removed = TRUE WHERE uuid = '" + apollo + "'")
		e.request("POST", requestAt(id, "approve"), "staff", nil).is(http.StatusOK, "")
		require.Equal(e.t, "gemini", e.value("SELECT slug FROM scopes WHERE group_invitation_uuid = '"+waits+"'"))
	})
}

// A name from the template finds every project of exactly this name.
func TestTemplatesFindProjects(t *testing.T) {
	onEachEngine(t, func(e *env) {
		group := e.publicGroup("project_name_template", "Apollo", "auto_approve", true).UUID.String()
		found := e.submit("stranger", group)
		require.Equal(e.t, apollo, found.ProjectUUID.String())
		require.False(e.t, *found.ProjectCreated)
		e.request("PATCH", groupAt(group), "staff", map[string]any{"project_name_template": "apollo"}).is(http.StatusOK, "")
		require.True(e.t, *e.submit("invitee", group).ProjectCreated)
	})
}

// Who holds the role already is granted nothing more, and the request is approved all the same.
func TestApproveWhoHoldsTheRole(t *testing.T) {
	onEachEngine(t, func(e *env) {
		id := e.submit("stranger", e.group("owner", member, apollo).UUID.String()).UUID.String()
		e.exec("UPDATE permission_requests SET is_exclusive = FALSE")
		auto := e.group("owner", member, apollo, "auto_approve", true, "allow_multiple_requests", true).UUID.String()
		require.True(e.t, e.submit("stranger", auto).AutoApproved)
		e.request("POST", requestAt(id, "approve"), "owner", nil).is(http.StatusOK, "")
		require.EqualValues(e.t, "approved", e.seesRequest("owner", id).State)
	})
}

// The approver of a project-making group invitation needs PROJECT.CREATE_PERMISSION in the customer, and nothing else helps.
func TestApproversOfMadeProjects(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply(deputies)
		id := e.submit("stranger", e.publicGroup().UUID.String()).UUID.String()
		for _, user := range []string{"owner", "reader", "deputy"} {
			e.request("POST", requestAt(id, "approve"), user, nil).is(http.StatusNotFound, notFound)
			e.request("POST", requestAt(id, "reject"), user, nil).is(http.StatusNotFound, notFound)
		}
		require.Equal(e.t, []string{"clerk"}, e.announce(uuid.MustParse(id)))
		e.request("POST", requestAt(id, "approve"), "clerk", nil).is(http.StatusOK, "")
	})
}

// Under the role ceiling nobody grants by approving what they could not offer.
func TestRoleCeilingOfApprovals(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.joining.Policy.RoleCeiling = true
		e.apply("roles: [{name: PROJECT.ADMIN, scope_type: project, permissions: [X]}]")
		id := e.submit("stranger", e.group("staff", admin, apollo).UUID.String()).UUID.String()
		e.request("POST", requestAt(id, "approve"), "owner", nil).is(http.StatusNotFound, notFound)
		e.request("POST", requestAt(id, "approve"), "staff", nil).is(http.StatusOK, "")
	})
}

// Nothing is granted to a user who is not active, also where they hold the role. The request waits, and can be rejected.
func TestApproveInactiveRequester(t *testing.T) {
	onEachEngine(t, func(e *env) {
		id := e.submit("stranger", e.group("owner", member, apollo).UUID.String()).UUID.String()
		e.exec("UPDATE users SET is_active = FALSE WHERE username = 'stranger'")
		e.request("POST", requestAt(id, "approve"), "owner", nil).
			is(http.StatusBadRequest, ruleError("The requester's account is not active, so the request can't be approved."))
		require.EqualValues(e.t, "pending", e.seesRequest("owner", id).State)
		require.False(e.t, e.holds("stranger", member, apollo))
		e.request("POST", requestAt(id, "reject"), "owner", nil).is(http.StatusOK, "")
	})
}

// Nobody decides about requests of a removed scope; the requester can take theirs back. With a user go their requests.
func TestReviewInRemovedScope(t *testing.T) {
	onEachEngine(t, func(e *env) {
		group := e.group("owner", member, apollo).UUID.String()
		id, gone := e.submit("stranger", group).UUID.String(), e.submit("rival", group).UUID.String()
		e.applyReplaced(apolloUUID, apolloRemoved)
		for _, user := range []string{"owner", "staff"} {
			e.request("POST", requestAt(id, "approve"), user, nil).is(http.StatusNotFound, notFound)
			e.request("POST", requestAt(id, "reject"), user, nil).is(http.StatusNotFound, notFound)
		}
		e.request("POST", groupAt(group, "submit_request"), "invitee", nil).
			is(http.StatusBadRequest, ruleError("Only pending invitation can be requested."))
		e.request("POST", requestAt(id, "cancel_request"), "stranger", nil).is(http.StatusOK, "")
		require.EqualValues(e.t, "canceled", e.seesRequest("owner", id).State)
		e.exec("DELETE FROM users WHERE username = 'rival'")
		e.request("POST", requestAt(gone, "approve"), "staff", nil).is(http.StatusNotFound, notFound)
	})
}

// A role that was asked for is no second role of those who hold none in the scope, whatever they hold elsewhere: in another
// project, or in the customer.
func TestSecondRoleInScope(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.joining.Policy.DisableMultipleRoles = true
		inProject, inCustomer := e.group("owner", admin, apollo).UUID.String(), e.group("owner", reader, acme).UUID.String()
		e.submit("owner", inProject)
		e.submit("sibling", inProject)
		e.submit("manager", inCustomer)
		for user, group := range map[string]string{"manager": inProject, "owner": inCustomer} {
			e.request("POST", groupAt(group, "submit_request"), user, nil).
				is(http.StatusBadRequest, ruleError("User already has role within this scope."))
		}
	})
}

// Each request mails the approvers: who asks, takes it back and asks again is held up.
func TestLimitOfRequests(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.joining.Policy.LimitRequests = joining.Limit{Count: 2, Per: time.Hour}
		group, other := e.group("owner", member, apollo).UUID.String(), e.group("owner", admin, apollo).UUID.String()
		for range 2 {
			id := e.submit("stranger", group).UUID.String()
			e.request("POST", requestAt(id, "cancel_request"), "stranger", nil).is(http.StatusOK, "")
		}
		refused := e.request("POST", groupAt(group, "submit_request"), "stranger", nil).is(http.StatusTooManyRequests, "")
		require.Equal(e.t, "3600", refused.Header.Get("Retry-After"))
		e.submit("invitee", group)
		e.submit("stranger", other)
	})
}

// A group invitation gets another scope only while nobody has asked by it, whatever became of the request. Who may not edit it
// learns nothing of requests.
func TestScopeStaysOnceAsked(t *testing.T) {
	onEachEngine(t, func(e *env) {
		group := e.group("staff", member, apollo).UUID.String()
		move := func(user, scope string) response {
			return e.request("PATCH", groupAt(group), user, map[string]any{"scope": scopeURL(scope)})
		}
		move("owner", hydra).is(http.StatusBadRequest, fieldError("scope", "Can't restore object from url: "+scopeURL(hydra)))
		move("staff", hydra).is(http.StatusOK, "")
		move("staff", artemis).is(http.StatusOK, "")
		id := e.submit("stranger", group).UUID.String()
		e.request("POST", requestAt(id, "reject"), "owner", nil).is(http.StatusOK, "")
		asked := fieldError("scope", "People have asked by this invitation already, so what it offers can't change: make another invitation.")
		move("staff", apollo).is(http.StatusBadRequest, asked)
		move("owner", apollo).is(http.StatusBadRequest, asked)
		move("sibling", artemis).is(http.StatusOK, "") // the manager of Artemis
		e.apply("customers: [{name: Acme, uuid: " + acme + ", projects: [{name: Apollo, uuid: " + apollo +
			", members: [{user: sibling, role: PROJECT.MEMBER}]}]}]")
		move("sibling", apollo).is(http.StatusNotFound, notFound)
		require.Equal(e.t, "Artemis", e.seesRequest("owner", id).ScopeName)
		e.request("DELETE", requestAt(id), "staff", nil).is(http.StatusNoContent, "")
		move("owner", apollo).is(http.StatusOK, "")
	})
}

// The roles that a group invitation offers, and whether it makes projects, stay too: only an edit to the same values passes.
func TestOfferStaysOnceAsked(t *testing.T) {
	onEachEngine(t, func(e *env) {
		offer := map[string]any{"role": member, "project_role": admin, "auto_create_project": true}
		others := map[string]any{"role": admin, "project_role": nil, "auto_create_project": false}
		asked := []string{"People have asked by this invitation already, so what it offers can't change: make another invitation."}
		group := e.group("staff", member, apollo, "project_role", admin, "auto_create_project", true).UUID.String()
		edit := func(fields map[string]any) response {
			return e.request("PATCH", groupAt(group), "owner", fields)
		}
		edit(others).is(http.StatusOK, "")
		edit(offer).is(http.StatusOK, "")
		e.submit("stranger", group)
		for field, value := range others {
			edit(map[string]any{field: value, "custom_text": "x"}).is(http.StatusBadRequest, fieldError(field, asked[0]))
		}
		edit(map[string]any{"project_role": manager}).is(http.StatusBadRequest, fieldError("project_role", asked[0]))
		var wrong map[string][]string
		edit(others).is(http.StatusBadRequest, "").decode(&wrong)
		require.Equal(e.t, map[string][]string{"role": asked, "project_role": asked, "auto_create_project": asked}, wrong)
		offer["custom_text"], offer["scope"] = "Welcome", scopeURL(apollo)
		edit(offer).is(http.StatusOK, "")
	})
}

// Each action in each state.
func TestRequestStates(t *testing.T) {
	onEachEngine(t, func(e *env) {
		actions := map[joining.Action]struct {
			user, path string
			status     int
			body       string
		}{
			joining.ActionApprove: {"owner", "approve", http.StatusConflict, conflict},
			joining.ActionReject:  {"owner", "reject", http.StatusConflict, conflict},
			joining.ActionCancel:  {"stranger", "cancel_request", http.StatusBadRequest, ruleError("Only pending or draft requests can be canceled.")},
		}
		for _, state := range joining.States {
			for action, each := range actions {
				group := e.group("staff", member, apollo, "allow_multiple_requests", true).UUID.String()
				id := e.submit("stranger", group).UUID.String()
				e.exec("UPDATE permission_requests SET state = '" + string(state) + "' WHERE uuid = '" + id + "'")
				answer := e.request("POST", requestAt(id, each.path), each.user, nil)
				if i := slices.IndexFunc(joining.Transitions, func(t joining.Transition) bool { return t.Action == action && t.From == state }); i >= 0 {
					answer.is(http.StatusOK, "")
					require.EqualValues(e.t, joining.Transitions[i].To[0], e.seesRequest("staff", id).State, "%s in %s", action, state)
				} else {
					answer.is(each.status, each.body)
					require.EqualValues(e.t, state, e.seesRequest("staff", id).State, "%s in %s", action, state)
				}
				e.request("DELETE", requestAt(id), "staff", nil).is(http.StatusNoContent, "")
				e.request("GET", requestAt(id), "staff", nil).is(http.StatusNotFound, notFound)
				e.exec("DELETE FROM memberships WHERE user_uuid = '" + e.userID("stranger").String() + "'")
			}
		}
	})
}

func TestRequestFilters(t *testing.T) {
	onEachEngine(t, func(e *env) {
		inApollo := e.group("staff", member, apollo).UUID.String()
		inHydra := e.group("staff", member, hydra).UUID.String()
		made := map[string]string{}
		for _, each := range []struct{ name, user, group string }{
			{"first", "stranger", inApollo}, {"second", "invitee", inApollo}, {"third", "stranger", inHydra},
		} {
			made[e.submit(each.user, each.group).UUID.String()] = each.name
			e.clock.Advance(time.Second)
		}
		for id, name := range made {
			if name == "second" {
				e.request("POST", requestAt(id, "reject"), "staff", nil).is(http.StatusOK, "")
			}
		}
		for query, want := range map[string]string{
			"":                             "third second first",
			"o=created":                    "first second third",
			"o=-state&o=created":           "second first third",
			"state=pending":                "third first",
			"state=pending&state=rejected": "third second first",
			"created_by=" + e.userID("stranger").String(): "third first",
			"customer_uuid=" + acme:                       "second first",
			"invitation=" + inHydra:                       "third",
			"scope=" + scopeURL(apollo):                   "second first",
			"state=approved":                              "",
		} {
			var rows []server.PermissionRequest
			e.request("GET", permissionRequests+"?"+query, "staff", nil).is(http.StatusOK, "").decode(&rows)
			var got []string
			for _, row := range rows {
				got = append(got, made[row.UUID.String()])
			}
			require.Equal(e.t, want, strings.Join(got, " "), query)
			count := e.request("HEAD", permissionRequests+"?"+query, "staff", nil).is(http.StatusOK, "")
			require.Equal(e.t, strconv.Itoa(len(rows)), count.Header.Get("X-Result-Count"), query)
		}
	})
}
