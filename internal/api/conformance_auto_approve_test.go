package api_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/joining"
)

// joiningRows returns what the tables contain that an approval or a submission writes, by table. A mail is a job before it is
// sent.
func (e *env) joiningRows() map[string]string {
	e.t.Helper()
	rows := map[string]string{}
	for table, text := range map[string]string{
		"permission_requests":     "CAST(uuid AS text) || state || review_comment",
		"group_invitations":       "CAST(uuid AS text) || version",
		"group_invitation_events": "CAST(id AS text)",
		"memberships":             "CAST(uuid AS text) || COALESCE(CAST(revoked AS text), '')",
		"scopes":                  "CAST(uuid AS text) || name",
		"river_job":               "CAST(id AS text) || kind",
	} {
		list := map[bool]string{true: "string_agg(line, ' ' ORDER BY line)", false: "group_concat(line, ' ')"}[e.db.IsPostgres()]
		rows[table] = e.value("SELECT COALESCE(" + list + ", '') FROM (SELECT " + text + " AS line FROM " + table + " ORDER BY 1) AS lines")
	}
	return rows
}

// What refuses the approval of a submission that is approved at once refuses the submission: no request, project, membership,
// event or job is left, and so no mail.
func TestRefusedAutoApprovalsLeaveNothing(t *testing.T) {
	onEachEngine(t, func(e *env) {
		auto := func(more ...any) string {
			return e.publicGroup(append([]any{"auto_approve", true}, more...)...).UUID.String()
		}
		set := func(column, value, id string) {
			e.exec("UPDATE group_invitations SET " + column + " = '" + value + "' WHERE uuid = '" + id + "'")
		}
		for name, refused := range map[string]struct {
			policy joining.Policy
			setUp  func() (group string)
			status int
			want   string
		}{
			"role of another type, in a made project": {setUp: func() string {
				group := auto()
				set("role_uuid", reader, group)
				return group
			}, status: 400, want: ruleError("Role is not valid for this scope.")},
			"role of another type": {setUp: func() string {
				group := e.group("owner", member, apollo, "auto_approve", true).UUID.String()
				set("role_uuid", reader, group)
				return group
			}, status: 400, want: ruleError("Role is not valid for this scope.")},
			"inactive role, in a made project": {setUp: func() string {
				group := auto("project_role", admin)
				e.exec("UPDATE roles SET is_active = FALSE WHERE uuid = '" + admin + "'")
				return group
			}, status: 400, want: ruleError("Role is not active.")},
			"inactive role": {setUp: func() string {
				group := e.group("owner", admin, apollo, "auto_approve", true).UUID.String()
				e.exec("UPDATE roles SET is_active = FALSE WHERE uuid = '" + admin + "'")
				return group
			}, status: 400, want: ruleError("Role is not active.")},
			"second manager": {policy: joining.Policy{OneProjectManager: true}, setUp: func() string {
				return auto("project_role", manager, "project_name_template", "Apollo")
			}, status: 400, want: ruleError(msgManager)},
			"second role": {policy: joining.Policy{DisableMultipleRoles: true}, setUp: func() string {
				e.exec("INSERT INTO memberships (uuid, user_uuid, role_uuid, scope_uuid, created) SELECT '" + paper + "', uuid, '" +
					author + "', '" + apollo + "', created FROM users WHERE username = 'stranger'")
				return auto("project_name_template", "Apollo")
			}, status: 400, want: ruleError("User already has role within this scope.")},
			"restrictions of the project": {setUp: func() string {
				return auto("project_name_template", "Strict")
			}, status: 400, want: ruleError("User email, affiliation, or identity source does not match the project restrictions.")},
			"a name that is taken": {setUp: func() string {
				return auto("project_name_template", "{full_name}")
			}, status: 400, want: ruleError(nameTaken)},
			"a name that is too long": {setUp: func() string {
				return auto("project_name_template", strings.Repeat("{username}", 22)+strings.Repeat("{email}", 4)) // 256 characters
			}, status: 400, want: ruleError(nameTooLong)},
			"a limit": {policy: joining.Policy{LimitUser: joining.Limit{Count: 1, Per: time.Hour}}, setUp: func() string {
				group := auto()
				e.submit("stranger", e.publicGroup("allow_multiple_requests", true).UUID.String())
				e.exec("UPDATE permission_requests SET state = 'canceled'")
				return group
			}, status: 429},
		} {
			e.run(name, func(e *env) {
				e.joining.Policy = joining.Policy{}
				e.exec("UPDATE users SET full_name = 'Artemis' WHERE username = 'stranger'")
				group := refused.setUp()
				e.joining.Policy = refused.policy
				before := e.joiningRows()
				answer := e.request("POST", groupAt(group, "submit_request"), "stranger", nil)
				require.Equal(e.t, refused.status, answer.Status, answer.Body)
				if refused.want != "" {
					answer.is(refused.status, refused.want)
				}
				after := e.joiningRows()
				for _, table := range slices.Sorted(maps.Keys(before)) {
					require.Equal(e.t, before[table], after[table], table)
				}
				// Without what refuses, the same call does all of it.
				e.joining.Policy = joining.Policy{}
				e.exec("UPDATE roles SET is_active = TRUE")
				e.exec("DELETE FROM memberships WHERE uuid = '" + paper + "'")
				e.exec("UPDATE users SET full_name = '" + name + "' WHERE username = 'stranger'")
				e.exec("UPDATE group_invitations SET project_role_uuid = NULL, project_name_template = '{full_name}', role_uuid = '" + member + "'")
				e.request("POST", groupAt(group, "submit_request"), "stranger", nil).is(http.StatusOK, "")
				after = e.joiningRows()
				for _, table := range []string{"permission_requests", "group_invitation_events", "memberships"} {
					require.NotEqual(e.t, before[table], after[table], table)
				}
				e.exec("DELETE FROM group_invitations")
				e.exec("DELETE FROM memberships WHERE user_uuid = (SELECT uuid FROM users WHERE username = 'stranger')")
			})
		}
	})
}
