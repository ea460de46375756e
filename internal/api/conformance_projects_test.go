package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/gen/server"
	"invited/internal/directory/dirfile"
	"invited/internal/joining"
)

const (
	nameTaken   = "The organization has a project of this name already, so the request needs another name."
	nameTooLong = "The project's name would be longer than 255 characters, so the request needs a shorter one."
)

// A project of which the requester controls a part of the name is found by nobody else, by whatever group invitation, whatever
// the part of the name is that they control: their words, their username or their full name. Users may choose all three.
func TestRequestersFindOnlyTheirOwnProjects(t *testing.T) {
	onEachEngine(t, func(e *env) {
		first := e.publicGroup("allow_multiple_requests", true, "allow_custom_project_details", true, "auto_approve", true).UUID.String()
		made := e.submit("invitee", first, "project_name", "Apollo of stranger")
		require.True(e.t, *made.ProjectCreated)
		e.exec("UPDATE users SET full_name = 'Apollo' WHERE username = 'stranger'")
		e.exec("UPDATE scopes SET name = 'Stranger', name_folded = 'stranger' WHERE uuid = '" + strict + "'")
		refused := func(group string) {
			e.t.Helper()
			e.request("POST", groupAt(group, "submit_request"), "stranger", map[string]string{"project_name": "apollo OF stranger"}).
				is(http.StatusBadRequest, ruleError(nameTaken))
		}
		refused(first)
		for _, fields := range [][]any{
			{"allow_custom_project_details", true, "project_name_template", "Moon"},
			{"project_name_template", "Apollo of {username}"},
			{"project_name_template", "{full_name}"},
			{"project_name_template", "Apollo of stranger"}, // was made for one requester
			{},
		} {
			for _, approves := range []bool{false, true} {
				refused(e.publicGroup(append([]any{"allow_multiple_requests", true, "auto_approve", approves}, fields...)...).UUID.String())
			}
		}
		require.Equal(e.t, "1", e.countRows("permission_requests"))
		// Whom it was made for finds it, by another group invitation too.
		second := e.publicGroup("allow_multiple_requests", true, "project_name_template", "apollo of {full_name}", "auto_approve", true).UUID.String()
		e.exec("UPDATE users SET full_name = 'stranger' WHERE username = 'invitee'")
		require.Equal(e.t, made.ProjectUUID, e.submit("invitee", second).ProjectUUID)

		// A request waits while a project of its name is made for somebody else.
		waits := e.publicGroup("allow_multiple_requests", true, "project_name_template", "Lab of {full_name}").UUID.String()
		id := e.submit("stranger", waits).UUID.String()
		e.submit("member", first, "project_name", "lab of apollo")
		e.request("POST", requestAt(id, "approve"), "staff", nil).is(http.StatusBadRequest, ruleError(nameTaken))
		// A name that a creator fixed leads to what was made by another group invitation under a fixed name.
		shared := ""
		for i, user := range []string{"stranger", "rival"} {
			fixed := e.publicGroup("allow_multiple_requests", true, "project_name_template", "The workshop", "auto_approve", true).UUID.String()
			got := e.submit(user, fixed)
			require.Equal(e.t, i == 0, *got.ProjectCreated)
			require.True(e.t, shared == "" || shared == got.ProjectUUID.String())
			shared = got.ProjectUUID.String()
		}
		e.request("POST", groupAt(first, "submit_request"), "stranger", map[string]string{"project_name": "The workshop"}).
			is(http.StatusBadRequest, ruleError(nameTaken))
	})
}

// Nobody enters the project that was made for another, or has another come into theirs, by one link that approves by itself.
func TestRequestersOfOneLinkStayApart(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.exec("UPDATE users SET full_name = username")
		for _, each := range []struct {
			of       string // before the name
			template []any
		}{{"", nil}, {"Of ", []any{"project_name_template", "Of {full_name}"}}} {
			link := e.publicGroup(append(each.template, "allow_custom_project_details", true, "auto_approve", true)...).UUID.String()
			own := e.submit("invitee", link).ProjectUUID.String()
			for _, name := range []string{"invitee", "INVITEE"} {
				e.request("POST", groupAt(link, "submit_request"), "stranger", map[string]string{"project_name": each.of + name}).
					is(http.StatusBadRequest, ruleError(nameTaken))
			}
			require.Equal(e.t, "1", e.countRows("memberships WHERE scope_uuid = '"+own+"'"))
			taken := e.submit("rival", link, "project_name", each.of+"member").ProjectUUID.String()
			e.request("POST", groupAt(link, "submit_request"), "member", nil).is(http.StatusBadRequest, ruleError(nameTaken))
			require.Equal(e.t, "1", e.countRows("memberships WHERE scope_uuid = '"+taken+"'"))
			e.exec("DELETE FROM permission_requests")
		}
	})
}

// A name with characters that nobody sees is refused: it would look like that of another project.
func TestInvisibleProjectNames(t *testing.T) {
	onEachEngine(t, func(e *env) {
		const invisible = "This field may not contain invisible characters."
		chosen := e.publicGroup("allow_multiple_requests", true, "allow_custom_project_details", true).UUID.String()
		filledIn := e.publicGroup("project_name_template", "Lab of {full_name}").UUID.String()
		e.exec("UPDATE users SET full_name = 'Ap\u200bollo' WHERE username = 'stranger'")
		for _, name := range []string{"Ap\u200bollo", "\u202eollopA"} {
			e.request("POST", groupAt(chosen, "submit_request"), "stranger", map[string]string{"project_name": name}).
				is(http.StatusBadRequest, fieldError("project_name", invisible))
			e.request("PATCH", groupAt(chosen), "staff", map[string]string{"project_name_template": name}).
				is(http.StatusBadRequest, fieldError("project_name_template", invisible))
		}
		e.request("POST", groupAt(filledIn, "submit_request"), "stranger", nil).is(http.StatusBadRequest, ruleError(string(joining.RefusedInvisible)))
		require.Equal(e.t, "0", e.countRows("permission_requests"))
	})
}

// A name that is too long is refused as the request is made and as it is approved, and not cut.
func TestLongProjectNames(t *testing.T) {
	onEachEngine(t, func(e *env) {
		const tooLong = "Ensure this field has no more than 255 characters."
		chosen := e.publicGroup("allow_multiple_requests", true, "allow_custom_project_details", true).UUID.String()
		submit := func(group, name string) response {
			return e.request("POST", groupAt(group, "submit_request"), "stranger", map[string]string{"project_name": name})
		}
		submit(chosen, strings.Repeat("ä", 256)).is(http.StatusBadRequest, fieldError("project_name", tooLong))
		e.submit("invitee", chosen, "project_name", strings.Repeat("ä", 255))

		filled := e.publicGroup("allow_multiple_requests", true, "project_name_template", "{full_name}{full_name}").UUID.String()
		e.exec("UPDATE users SET full_name = '" + strings.Repeat("x", 128) + "' WHERE username = 'stranger'")
		submit(filled, "").is(http.StatusBadRequest, ruleError(nameTooLong))
		id := e.submit("invitee", filled).UUID.String()
		e.exec("UPDATE users SET full_name = '" + strings.Repeat("x", 128) + "' WHERE username = 'invitee'")
		e.request("POST", requestAt(id, "approve"), "staff", nil).is(http.StatusBadRequest, ruleError(nameTooLong))
	})
}

// directory apply takes over a made project that it renames or restores: no approval finds the project as its own any more, and
// the project stands in no other's way. What apply does to other fields leaves the project as it was made.
func TestApplyTakesMadeProjectsOver(t *testing.T) {
	onEachEngine(t, func(e *env) {
		group := e.publicGroup("allow_multiple_requests", true, "allow_custom_project_details", true, "auto_approve", true).UUID.String()
		madeBy := func(id string) string {
			return e.value("SELECT COALESCE(CAST(group_invitation_uuid AS text), 'nobody') FROM scopes WHERE uuid = '" + id + "'")
		}
		apply := func(project string) {
			e.t.Helper()
			e.apply("customers: [{name: Acme, uuid: " + acme + ", projects: [" + project + "]}]")
		}
		moon := e.submit("stranger", group, "project_name", "Moon").ProjectUUID.String()
		apply("{name: Moon, uuid: " + moon + ", description: Cheese}")
		require.Equal(e.t, group, madeBy(moon))
		var exported strings.Builder
		require.NoError(e.t, dirfile.Export(e.context(), e.db.FileStore(), &exported))
		e.apply(exported.String())
		require.Equal(e.t, group, madeBy(moon))
		// A name alone does not mean a made project: who asked for the project chose the name.
		file, err := dirfile.Decode(strings.NewReader(
			"customers: [{name: Acme, uuid: " + acme + ", projects: [{name: Moon, members: [{user: manager, role: PROJECT.MANAGER}]}]}]"))
		require.NoError(e.t, err)
		_, err = dirfile.Apply(e.context(), e.db.FileStore(), file, nil)
		require.ErrorContains(e.t, err, "name: is that of a project that the approval of a permission request made; give its uuid ("+moon+
			") if you mean this project, else another name")
		require.False(e.t, e.holds("manager", manager, moon))

		apply("{name: Moon, uuid: " + moon + ", is_removed: true}")
		again := e.submit("invitee", group, "project_name", "Moon").ProjectUUID.String()
		require.NotEqual(e.t, moon, again)
		apply("{name: Moon, uuid: " + moon + ", is_removed: false}")
		require.Equal(e.t, "nobody", madeBy(moon))
		require.Equal(e.t, again, e.submit("invitee", group, "project_name", "Moon").ProjectUUID.String())

		mars := e.submit("stranger", group, "project_name", "Mars").ProjectUUID.String()
		apply("{name: MOON, uuid: " + mars + "}")
		require.Equal(e.t, "nobody", madeBy(mars))
		require.Equal(e.t, "1", e.countRows("scopes WHERE made_for_uuid IS NOT NULL AND NOT is_removed"))
		require.Equal(e.t, group, madeBy(again))
		e.request("POST", groupAt(group, "submit_request"), "sibling", map[string]string{"project_name": "Mars"}).is(http.StatusOK, "")
	})
}

// A group invitation, its customer and the project can each have more patterns than are evaluated in a transaction, whether the
// project is found or made: a project that is made has another id each time that the approval is decided.
func TestManyPatterns(t *testing.T) {
	onEachEngine(t, func(e *env) {
		many := func(last string) []string { return append(slices.Repeat([]string{"no"}, 11), last) }
		patternsOf := func(scope string, patterns []string) {
			e.exec("UPDATE scopes SET user_email_patterns = '[\"" + strings.Join(patterns, "\",\"") + "\"]' WHERE uuid = '" + scope + "'")
		}
		patternsOf(acme, many("(stranger|invitee)@.*"))
		patternsOf(apollo, many("stranger@.*"))
		group := func(template string, approves bool) string {
			return e.publicGroup("project_name_template", template, "auto_approve", approves, "allow_multiple_requests", true,
				"user_email_patterns", many(".*e.*@.*")).UUID.String()
		}
		found, made, waits := group("Apollo", true), group("Moon", true), group("Mars", false)
		submit := func(group, user string) response {
			return e.request("POST", groupAt(group, "submit_request"), user, nil)
		}
		require.Equal(e.t, apollo, e.submit("stranger", found).ProjectUUID.String())
		submit(found, "invitee").is(http.StatusBadRequest,
			ruleError("User email, affiliation, or identity source does not match the project restrictions."))
		require.True(e.t, *e.submit("stranger", made).ProjectCreated)
		submit(made, "rival").is(http.StatusBadRequest,
			ruleError("You are not allowed to accept this invitation. Your email or organization must match the invitation restrictions."))
		submit(made, "member").is(http.StatusBadRequest,
			ruleError("User email, affiliation, or identity source does not match the customer restrictions."))

		id := e.submit("invitee", waits).UUID.String()
		patternsOf(acme, many("stranger@.*"))
		e.request("POST", requestAt(id, "approve"), "staff", nil).is(http.StatusBadRequest,
			ruleError("User email, affiliation, or identity source does not match the customer restrictions."))
		patternsOf(acme, many("INVITEE@.*"))
		e.request("POST", requestAt(id, "approve"), "staff", nil).is(http.StatusOK, "")

		// In a scope of its own: a group invitation to a project with many patterns.
		patternsOf(acme, []string{".*"})
		plain := e.group("owner", admin, apollo, "user_email_patterns", many("str.*"), "auto_approve", true, "allow_multiple_requests", true)
		require.True(e.t, e.submit("stranger", plain.UUID.String()).AutoApproved)
	})
}

// The event of an approval says which role was granted in which project; that of the submission says what was asked for.
func TestEventOfMadeProject(t *testing.T) {
	onEachEngine(t, func(e *env) {
		group := e.publicGroup("project_role", manager, "project_name_template", "Moon", "auto_approve", true).UUID.String()
		project := e.submit("stranger", group).ProjectUUID
		e.submit("invitee", group)
		var events []server.GroupInvitationEvent
		e.request("GET", groupAt(group, "events"), "staff", nil).is(http.StatusOK, "").decode(&events)
		for _, approved := range []server.GroupInvitationEvent{events[0], events[2]} {
			by := approved.UserUsername
			require.Equal(e.t, "Permission request of "+by+" for Acme has been approved by "+by+": PROJECT.MANAGER in Moon.", approved.Message)
			require.Equal(e.t, *project, approved.ScopeUUID)
			require.Equal(e.t, []string{"Moon", "PROJECT.MANAGER", manager}, []string{approved.ScopeName, approved.RoleName, approved.RoleUUID.String()})
		}
		require.Equal(e.t, []string{"Acme", "PROJECT.MEMBER"}, []string{events[1].ScopeName, events[1].RoleName})
	})
}
