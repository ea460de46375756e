package api_test

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/gen/server"
	"invited/internal/joining"
)

// groupDraft returns the body of a request to make a group invitation. more has pairs of field and value.
func groupDraft(role, scope string, more ...any) map[string]any {
	return withFields(map[string]any{"role": role, "scope": scopeURL(scope)}, more...)
}

// withFields sets fields of the body of a request, and returns the body. pairs has pairs of field and value.
func withFields(body map[string]any, pairs ...any) map[string]any {
	for i := 0; i+1 < len(pairs); i += 2 {
		body[pairs[i].(string)] = pairs[i+1]
	}
	return body
}

// group makes a group invitation through the API.
func (e *env) group(user, role, scope string, more ...any) (made server.GroupInvitation) {
	e.t.Helper()
	e.request("POST", groups, user, groupDraft(role, scope, more...)).is(http.StatusCreated, "").decode(&made)
	return made
}

// publicGroup makes a public group invitation that makes projects in Acme.
func (e *env) publicGroup(more ...any) server.GroupInvitation {
	e.t.Helper()
	return e.group("staff", member, acme, append([]any{"is_public", true, "auto_create_project", true}, more...)...)
}

// listGroups returns the uuids of the group invitations that a user sees in the list, in its order.
func (e *env) listGroups(user, query string) (seen []string) {
	e.t.Helper()
	var rows []server.GroupInvitation
	e.request("GET", groups+"?page_size=300&"+query, user, nil).is(http.StatusOK, "").decode(&rows)
	for _, row := range rows {
		seen = append(seen, row.UUID.String())
	}
	count := e.request("HEAD", groups+"?"+query, user, nil).is(http.StatusOK, "")
	require.Equal(e.t, strconv.Itoa(len(rows)), count.Header.Get("X-Result-Count"))
	return seen
}

// seesGroup returns a group invitation as a user sees it.
func (e *env) seesGroup(user, id string) (found server.GroupInvitation) {
	e.t.Helper()
	e.request("GET", groupAt(id), user, nil).is(http.StatusOK, "").decode(&found)
	return found
}

// The checks of create are made in their order: each body fails the check of its line and all that follow.
func TestCreateGroupChecksInOrder(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.joining.Policy = joining.Policy{OneProjectManager: true, RestrictAutoApprove: true}
		open := []any{"auto_approve", true}
		for _, step := range []struct {
			user string
			body map[string]any
			want string
		}{
			{"member", groupDraft(owner, hydra, "is_public", true, "role", "x"), `{"role": ["Object with uuid=x does not exist."]}`},
			{"member", groupDraft(retired, hydra, "is_public", true, "user_email_patterns", []string{"("}, "project_role", owner), `{
				"role": ["Object with uuid=` + retired + ` does not exist."], "scope": ["Can't restore object from url: ` + scopeURL(hydra) + `"],
				"project_role": ["Object with uuid=` + owner + ` does not exist."], "user_email_patterns": ["Invalid regex patterns: ['(']"]}`},
			{"member", groupDraft(owner, apollo, "is_public", true), fieldError("is_public", "Only staff users can create public invitations.")},
			{"staff", groupDraft(owner, apollo, "is_public", true), fieldError("auto_create_project", "Public invitations must have auto_create_project enabled.")},
			{"staff", groupDraft(owner, apollo, "is_public", true, "auto_create_project", true), fieldError("role", "Public invitations can only use project-level roles, not customer-level roles.")},
			{"member", groupDraft(owner, apollo, append([]any{"auto_create_project", true}, open...)...), fieldError("non_field_errors", msgRole)},
			{"member", groupDraft(reader, acme, append([]any{"auto_create_project", true}, open...)...), fieldError("project_role", "project_role is required when auto_create_project is enabled and the invitation role is not project-scoped.")},
			{"member", groupDraft(manager, apollo, open...), fieldError("auto_approve", "Add an e-mail pattern, an affiliation or an identity source: here the link alone may admit nobody.")},
			{"member", groupDraft(manager, apollo), fieldError("non_field_errors", msgManager)},
		} {
			e.request("POST", groups, step.user, step.body).is(http.StatusBadRequest, step.want)
		}
		e.request("POST", groups, "member", groupDraft(member, apollo)).is(http.StatusNotFound, notFound)
		require.Equal(e.t, "0", e.countRows("group_invitations"))
		require.Equal(e.t, "0", e.countRows("group_invitation_events"))
	})
}

// What is made is shown, and every field that can be written keeps what was written.
func TestGroupKeepsItsFields(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.group("owner", reader, acme, "auto_create_project", true, "project_role", manager, "project_name_template", " Of {username} ",
			"auto_approve", true, "user_email_patterns", []string{`.*@acme\.example`}, "user_affiliations", []string{"staff"},
			"user_identity_sources", []string{"https://issuer.example"}, "custom_text", "Hello\nthere", "allow_multiple_requests", true,
			"allow_custom_project_details", true, "expires", "2026-12-24T10:30:00+01:00")
		require.Equal(e.t, "Of {username}", *made.ProjectNameTemplate)
		require.Equal(e.t, manager, made.ProjectRole.String())
		require.Equal(e.t, "2026-12-24T09:30:00.000000Z", *made.Expires)
		require.Equal(e.t, []string{`.*@acme\.example`}, made.UserEmailPatterns)
		require.True(e.t, made.IsActive && made.AutoApprove && made.AutoCreateProject && made.AllowMultipleRequests && made.AllowCustomProjectDetails)
		require.Equal(e.t, "Olivia Owner", *made.CreatedByFullName)
		require.Equal(e.t, made, e.seesGroup("stranger", made.UUID.String()))

		var edited server.GroupInvitationUpdate
		e.request("PATCH", groupAt(made.UUID.String()), "owner", `{}`).is(http.StatusOK, "")
		require.Equal(e.t, made, e.seesGroup("owner", made.UUID.String()))
		e.request("PUT", groupAt(made.UUID.String()), "owner", `{"project_name_template": null, "expires": null, "user_affiliations": [],
			"scope": "`+scopeURL(apollo)+`", "role": "`+admin+`", "auto_create_project": false, "project_role": null}`).
			is(http.StatusOK, "").decode(&edited)
		require.Equal(e.t, "https://api.example/api/projects/"+apollo+"/", edited.Scope)
		require.Equal(e.t, admin, edited.Role.String())
		require.Nil(e.t, edited.ProjectNameTemplate)
		require.Nil(e.t, edited.Expires)
		require.Nil(e.t, edited.ProjectRole)
		now := e.seesGroup("owner", made.UUID.String())
		require.Equal(e.t, "Apollo", now.ScopeName)
		require.Equal(e.t, acme, now.CustomerUUID.String())
		require.Empty(e.t, now.UserAffiliations)
		require.Equal(e.t, made.UserIdentitySources, now.UserIdentitySources)
		var events []server.GroupInvitationEvent
		e.request("GET", groupAt(made.UUID.String(), "events"), "owner", nil).is(http.StatusOK, "").decode(&events)
		require.Equal(e.t, "Group invitation for Apollo has been updated by owner.", events[0].Message)
	})
}

// An end whose year has five digits in UTC is refused: SQLite can't read it back, and no list could be read any more.
func TestGroupEndsBeforeYear10000(t *testing.T) {
	onEachEngine(t, func(e *env) {
		const tooLate = "9999-12-31T23:59:59-23:59"
		refused := fieldError("expires", "Enter a time before the year 10000 in UTC, or null for no end.")
		made := e.group("owner", member, apollo, "expires", "9999-12-31T23:59:59.999999Z")
		e.request("POST", groups, "owner", groupDraft(member, apollo, "expires", tooLate)).is(http.StatusBadRequest, refused)
		for _, method := range []string{"PUT", "PATCH"} {
			e.request(method, groupAt(made.UUID.String()), "owner", map[string]any{"expires": tooLate}).is(http.StatusBadRequest, refused)
		}
		require.Equal(e.t, []string{made.UUID.String()}, e.listGroups("owner", ""))
		require.Equal(e.t, "9999-12-31T23:59:59.999999Z", *e.seesGroup("owner", made.UUID.String()).Expires)
	})
}

// Only active ones are edited and canceled, and only others are deleted, whatever made them inactive.
func TestInactiveGroups(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for name, end := range map[string]func(id string){
			"canceled": func(id string) { e.request("POST", groupAt(id, "cancel"), "owner", nil).is(http.StatusOK, "") },
			"expired":  func(string) { e.clock.Advance(time.Hour) },
		} {
			e.run(name, func(e *env) {
				made := e.group("owner", member, apollo, "expires", formatTime(e.clock.Now().Add(time.Hour)))
				id := made.UUID.String()
				e.request("DELETE", groupAt(id), "owner", nil).is(http.StatusBadRequest, ruleError("Only canceled invitation can be deleted."))
				end(id)
				require.False(e.t, e.seesGroup("stranger", id).IsActive)
				e.request("PATCH", groupAt(id), "owner", map[string]any{"is_public": true}).
					is(http.StatusBadRequest, fieldError("non_field_errors", "Only active invitations can be edited."))
				e.request("POST", groupAt(id, "cancel"), "owner", nil).is(http.StatusBadRequest, ruleError("Only pending invitation can be canceled."))
				e.request("DELETE", groupAt(id), "owner", nil).is(http.StatusNoContent, "")
				e.request("GET", groupAt(id), "owner", nil).is(http.StatusNotFound, notFound)
				e.request("GET", groupAt(id, "events"), "owner", nil).is(http.StatusNotFound, notFound)
				var events []server.GroupInvitationEvent
				e.request("GET", groupAt(id, "events"), "staff", nil).is(http.StatusOK, "").decode(&events)
				require.EqualValues(e.t, "deleted", events[0].EventType)
			})
		}
		e.request("GET", groupAt(acme, "events"), "staff", nil).is(http.StatusNotFound, notFound)
	})
}

// A removed scope ends its group invitations, and nobody manages them or approves by them; a restored one does not revive them.
func TestGroupOfRemovedScope(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.group("owner", member, apollo)
		making := e.group("owner", member, apollo, "auto_create_project", true, "allow_multiple_requests", true).UUID.String()
		asked := e.submit("stranger", making).UUID.String()
		e.applyReplaced(apolloUUID, apolloRemoved)
		for _, user := range []string{"owner", "staff"} {
			e.request("POST", requestAt(asked, "approve"), user, nil).is(http.StatusNotFound, notFound)
		}
		require.False(e.t, e.seesGroup("owner", made.UUID.String()).IsActive)
		require.ElementsMatch(e.t, []string{made.UUID.String(), making}, e.listGroups("owner", "is_active=false"))
		e.request("POST", groupAt(made.UUID.String(), "cancel"), "owner", nil).is(http.StatusNotFound, notFound)
		e.request("DELETE", groupAt(made.UUID.String()), "staff", nil).is(http.StatusNotFound, notFound)

		// The next sweep ends them for good, and no others.
		e.publicGroup()
		require.NoError(e.t, e.joining.Sweep(e.context()))
		require.NoError(e.t, e.joining.Sweep(e.context()))
		require.Equal(e.t, 1, e.number("group_invitations WHERE is_active"))
		e.exec("UPDATE scopes SET is_removed = FALSE")
		require.ElementsMatch(e.t, []string{made.UUID.String(), making}, e.listGroups("owner", "is_active=false"))
		require.Equal(e.t, 2, e.number("group_invitation_events WHERE event_type = 'canceled'"))
		var events []server.GroupInvitationEvent
		e.request("GET", groupAt(made.UUID.String(), "events"), "owner", nil).is(http.StatusOK, "").decode(&events)
		require.EqualValues(e.t, "canceled", events[0].EventType)
		require.Equal(e.t, []string{"", "Group invitation for Apollo has been canceled, because its scope was removed."},
			[]string{events[0].UserUsername, events[0].Message})
	})
}

// Without a token, public and active ones are read, and neither who made them nor whom they are for is shown.
func TestPublicGroups(t *testing.T) {
	onEachEngine(t, func(e *env) {
		hidden := e.group("owner", member, apollo)
		shown := e.publicGroup("user_email_patterns", []string{`.*@acme\.example`}, "user_affiliations", []string{"staff"},
			"user_identity_sources", []string{"https://issuer.example"})
		for user, shows := range map[string]bool{"": false, "stranger": false, "manager": false, "owner": true, "support": true, "staff": true} {
			seen := e.seesGroup(user, shown.UUID.String())
			lists := [][]string{seen.UserEmailPatterns, seen.UserAffiliations, seen.UserIdentitySources}
			if shows {
				require.Equal(e.t, [][]string{{`.*@acme\.example`}, {"staff"}, {"https://issuer.example"}}, lists, user)
			} else {
				require.Equal(e.t, [][]string{{}, {}, {}}, lists, user)
			}
		}
		require.Equal(e.t, []string{shown.UUID.String()}, e.listGroups("", ""))
		require.Equal(e.t, []string{shown.UUID.String()}, e.listGroups("stranger", ""))
		require.Len(e.t, e.listGroups("reader", ""), 2)
		require.Nil(e.t, e.seesGroup("", shown.UUID.String()).CreatedByUsername)
		require.Nil(e.t, e.seesGroup("manager", shown.UUID.String()).CreatedByFullName)
		require.Equal(e.t, "staff", *e.seesGroup("owner", shown.UUID.String()).CreatedByUsername)
		require.Equal(e.t, "staff", *e.seesGroup("support", shown.UUID.String()).CreatedByUsername)
		require.Equal(e.t, "owner", *e.seesGroup("stranger", hidden.UUID.String()).CreatedByUsername)
		e.request("GET", groupAt(hidden.UUID.String()), "", nil).is(http.StatusNotFound, notFound)
		e.request("GET", groups, "nobody", nil).is(http.StatusUnauthorized, "")
		e.request("PATCH", groupAt(shown.UUID.String()), "owner", map[string]any{"custom_text": "x"}).
			is(http.StatusBadRequest, fieldError("is_public", "Only staff users can create public invitations."))
		e.request("POST", groupAt(shown.UUID.String(), "cancel"), "owner", nil).is(http.StatusOK, "")
		require.Empty(e.t, e.listGroups("", ""))
		require.Empty(e.t, e.listGroups("stranger", ""))
		e.request("GET", groupAt(shown.UUID.String()), "", nil).is(http.StatusNotFound, notFound)
	})
}

func TestGroupFilters(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := map[string]string{}
		for _, each := range []struct {
			name, role, scope string
			more              []any
		}{
			{"project", member, apollo, nil},
			{"customer", reader, acme, nil},
			{"other", member, hydra, nil},
			{"ended", admin, apollo, []any{"expires", formatTime(e.clock.Now().Add(4 * time.Minute))}},
			{"public", member, acme, []any{"is_public", true, "auto_create_project", true}},
		} {
			made[each.name] = e.group("staff", each.role, each.scope, each.more...).UUID.String()
			e.clock.Advance(time.Minute)
		}
		for query, want := range map[string]string{
			"":                               "public ended other customer project",
			"o=created":                      "project customer other ended public",
			"customer_uuid=" + acme:          "public ended customer project",
			"is_active=true":                 "public other customer project",
			"is_active=false":                "ended",
			"is_public=true":                 "public",
			"is_public=false&is_active=true": "other customer project",
			"role_uuid=" + admin:             "ended",
			"role_name=PROJECT.MEMBER":       "public other project",
			"role_name=PROJECT":              "",
			"scope=" + scopeURL(apollo):      "ended project",
			"scope_type=customer":            "public customer",
			"scope_type=nothing":             "",
		} {
			var got []string
			for _, id := range e.listGroups("staff", query) {
				for name, each := range made {
					if each == id {
						got = append(got, name)
					}
				}
			}
			require.Equal(e.t, want, strings.Join(got, " "), query)
		}
		e.request("GET", groups+"?scope=https://x.example/", "staff", nil).
			is(http.StatusBadRequest, fieldError("scope", "This is not the URL of a scope."))
	})
}

func TestGroupProjects(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.publicGroup()
		var projects []server.NestedProject
		e.request("GET", groupAt(made.UUID.String(), "projects"), "stranger", nil).is(http.StatusOK, "").decode(&projects)
		var got []string
		for _, each := range projects {
			got = append(got, each.UUID.String())
		}
		require.Equal(e.t, []string{apollo, artemis, strict}, got)
		e.request("GET", groupAt(made.UUID.String(), "projects"), "", nil).is(http.StatusUnauthorized, "")
	})
}

// Under the role ceiling nobody offers a role above their own, by making, editing or taking elsewhere a group invitation.
func TestRoleCeilingOfGroups(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.joining.Policy.RoleCeiling = true
		e.apply("roles: [{name: PROJECT.ADMIN, scope_type: project, permissions: [X]}]")
		e.request("POST", groups, "manager", groupDraft(admin, apollo)).is(http.StatusNotFound, notFound)
		made := e.group("manager", member, apollo)
		e.request("PATCH", groupAt(made.UUID.String()), "manager", map[string]any{"role": admin}).is(http.StatusNotFound, notFound)
		above := e.group("staff", admin, apollo)
		e.request("PATCH", groupAt(above.UUID.String()), "manager", map[string]any{"auto_approve": true}).is(http.StatusNotFound, notFound)
		e.request("PATCH", groupAt(above.UUID.String()), "manager", map[string]any{"role": member}).is(http.StatusNotFound, notFound)
		e.request("PATCH", groupAt(made.UUID.String()), "manager", map[string]any{"scope": scopeURL(artemis)}).is(http.StatusBadRequest, "")
		require.Equal(e.t, made, e.seesGroup("manager", made.UUID.String()))
	})
}

// One user makes as many as the policy allows; staff ten times as many.
func TestLimitOfGroups(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.joining.Policy.LimitUser = joining.Limit{Count: 2, Per: time.Hour}
		for range 2 {
			e.group("owner", member, apollo)
		}
		refused := e.request("POST", groups, "owner", groupDraft(member, apollo)).is(http.StatusTooManyRequests, "")
		require.Equal(e.t, "3600", refused.Header.Get("Retry-After"))
		for range 3 {
			e.group("staff", member, apollo)
		}
		e.clock.Advance(time.Hour)
		e.group("owner", member, apollo)
	})
}

// Patterns that would take half a minute to compile are refused, together with what else is wrong.
func TestCostlyPatterns(t *testing.T) {
	onEachEngine(t, func(e *env) {
		body := groupDraft(retired, apollo, "user_email_patterns", slices.Repeat([]string{`\pL{1000}`}, 100), "project_name_template", "{name}")
		answer := e.request("POST", groups, "owner", body).is(http.StatusBadRequest, "")
		var wrong map[string][]string
		answer.decode(&wrong)
		require.Len(e.t, wrong, 3)
		require.Contains(e.t, wrong["user_email_patterns"][0], `Potentially dangerous patterns (nested quantifiers or too long): ['\pL{1000}', `)
	})
}
