package store_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Where no invitation has a fixed end, PostgreSQL knows that few rows are past theirs, and reads no others to count them.
func TestPostgresPlansFewFixedEnds(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		if !e.postgres {
			return // SQLite takes an index with an equality and a range for granted
		}
		require.NoError(t, e.exec(`INSERT INTO invitations (uuid, state, created, delivery, execution_state, error_message, reminded,
			role_uuid, scope_uuid, customer_uuid, email, email_folded, full_name, native_name, phone_number,
			organization, job_title, civil_number, extra_invitation_text)
			SELECT gen_random_uuid(), CASE WHEN n %% 3 = 1 THEN 'pending' ELSE 'accepted' END, now(), 0, 'OK', '', false,
			'%s', '%s', '%s', n || '@x.example', n || '@x.example', '', '', '', '', '', '', '' FROM generate_series(1, 3000) n`,
			adminRoleID, projectID, customerID))
		require.NoError(t, e.exec("ANALYZE invitations"))
		plan := strings.Join(e.texts(`EXPLAIN SELECT count(*) FROM invitations WHERE state IN ('project', 'requested', 'pending')
			AND COALESCE(expires_at, membership_expires) IS NOT NULL AND COALESCE(expires_at, membership_expires) <= now() AND state = 'pending'`), "\n")
		require.Contains(t, plan, "invitations_fixed_end")
		require.NotContains(t, plan, "invitations_due")
	})
}
