package waldur_test

import (
	"database/sql"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"invited/internal/database"
	"invited/internal/directory"
	"invited/internal/person"
	"invited/internal/store"
	"invited/internal/storetest"
	"invited/internal/token"
	"invited/internal/waldur"
)

const week = 7 * 24 * time.Hour

// env is a database of Waldur's, and one of ours that is imported into.
type env struct {
	*testing.T
	clock   *storetest.Clock
	address string // of Waldur's database
	waldur  *sql.DB
	db      *store.Store
}

// newEnv returns an env whose Waldur has the tables of testdata, and the rows of files there.
func newEnv(t *testing.T, engine storetest.Engine, files ...string) *env {
	t.Helper()
	e := &env{T: t, clock: storetest.NewClock(time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC))}
	e.address = storetest.Engines[1].Empty(t)
	var err error
	e.waldur, err = sql.Open("pgx", e.address)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.waldur.Close()) })
	for _, each := range files {
		text, err := os.ReadFile("testdata/" + each)
		require.NoError(t, err)
		e.exec(string(text))
	}
	e.db = engine.Open(t, e.clock.Now)
	return e
}

func (e *env) exec(statement string, args ...any) {
	e.Helper()
	_, err := e.waldur.ExecContext(e.Context(), statement, args...)
	require.NoError(e, err)
}

// run imports and returns the report and the notes.
func (e *env) run(change ...func(*waldur.Import)) (waldur.Report, []waldur.Note) {
	e.Helper()
	report, notes, err := e.try(change...)
	require.NoError(e, err)
	return report, notes
}

func (e *env) try(change ...func(*waldur.Import)) (report waldur.Report, notes []waldur.Note, err error) {
	i := waldur.Import{
		Store: e.db.Waldur(), Lifetime: week, WaldurLifetime: week, WithTokens: true,
		Note: func(n waldur.Note) error {
			notes = append(notes, n)
			return nil
		},
	}
	for _, each := range change {
		each(&i)
	}
	err = database.ReadOther(e.Context(), e.address, func(tx *sql.Tx) error {
		report, err = i.Run(e.Context(), tx)
		return err
	})
	return report, notes, err
}

func dryRun(i *waldur.Import) { i.DryRun = true }

// show returns notes, one a line: the kind, the end of the uuid, and what became of the record.
func show(notes []waldur.Note, kind waldur.Kind) (lines []string) {
	for _, each := range notes {
		if each.Kind != kind {
			continue
		}
		id := strings.TrimLeft(each.ID.String()[24:], "0")
		outcome := "altered"
		if each.IsLeft {
			outcome = "left"
		}
		lines = append(lines, id+" "+outcome+": "+each.Reason)
	}
	return lines
}

// id returns the uuid of a row of rows.sql: first is how it begins, and last is how it ends.
func id(first string, last string) uuid.UUID {
	text := first + strings.Repeat("0", 8-len(first)) + "00004000800000000000" + strings.Repeat("0", 4-len(last)) + last
	return uuid.MustParse(text)
}

func TestImport(t *testing.T) {
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		e := newEnv(t, engine, "waldur.sql", "rows.sql")
		dry, dryNotes := e.run(dryRun)
		assert.Empty(t, e.table("SELECT username FROM users"), "a dry run writes nothing")

		report, notes := e.run()
		assert.Equal(t, dry.String(), report.String(), "a dry run tells what an import does")
		assert.Equal(t, dryNotes, notes)
		assert.Equal(t, map[waldur.Kind]waldur.Count{
			waldur.Roles:       {Read: 7, Created: 6, Left: 1},
			waldur.Users:       {Read: 7, Created: 6, Left: 1},
			waldur.Tokens:      {Read: 6, Created: 3, Left: 3},
			waldur.Customers:   {Read: 2, Created: 2},
			waldur.Projects:    {Read: 4, Created: 4},
			waldur.OtherScopes: {Read: 4, Created: 3, Left: 1},
			waldur.Memberships: {Read: 9, Created: 5, Left: 4},
			waldur.Invitations: {Read: 19, Created: 15, Left: 4},
			waldur.Groups:      {Read: 4, Created: 3, Left: 1},
			waldur.Requests:    {Read: 6, Created: 5, Left: 1},
		}, report.Counts)
		assert.Equal(t, 1, report.Requested)
		for kind, want := range map[waldur.Kind][]string{
			waldur.Roles: {
				"4 altered: another role has the name: the name has the beginning of the uuid behind it",
				"6 left: invited has no scopes of the type marketplace.serviceprovider",
			},
			waldur.Users: {
				"1 altered: another active user has the address: nobody can sign in by it",
				"7 altered: another active user has the address: nobody can sign in by it",
				"3 altered: the civil number has white space: removed",
				"5 altered: a text is too long, or has control characters: shortened or cleaned",
				"5 altered: the user's address is not one that mail can be sent to: imported without",
				"6 left: the username is empty or has invisible characters",
			},
			waldur.Tokens: {
				"4 left: the token's user is not active",
				"7 left: the token has expired",
				"1 left: it is limited to Waldur's permissions: make a token here",
			},
			waldur.Customers: {
				"2 altered: a text is too long, or has control characters: shortened or cleaned",
				"2 altered: an e-mail pattern can't be used here: it matches nobody",
				"2 altered: it restricts who may join by more than e-mail patterns, which invited does not do: user_affiliations",
			},
			waldur.Projects:    {"4 altered: a text is too long, or has control characters: shortened or cleaned"},
			waldur.OtherScopes: {"2 left: its organization is gone, or was left"},
			waldur.Memberships: {
				"7 left: invited has no scopes of the type marketplace.serviceprovider",
				"3 left: the user holds the role in the scope by another row",
				"10 left: its scope is gone",
				"8 left: its user was left",
			},
			waldur.Invitations: {
				"17 altered: a text is too long, or has control characters: shortened or cleaned",
				"16 left: its role is not one of its type of scope",
				"15 left: its scope is gone",
				"14 left: invited has no scopes of the type marketplace.serviceprovider",
				"13 left: the address is not one that mail can be sent to",
				"11 altered: Waldur had not sent it: has to be sent again",
				"10 altered: its scope was removed: canceled",
				"9 altered: who made it was left: imported without",
				"3 altered: its time is over: expired",
				"2 altered: a newer invitation of the address to the role in the scope is open: canceled",
			},
			waldur.Groups: {
				"2 altered: it does not approve by itself any more, because of its restriction: user_nationalities",
				"3 altered: who made it was left: imported without",
				"4 left: invited has no scopes of the type marketplace.serviceprovider",
			},
			waldur.Requests: {
				"5 left: its group invitation was left",
				"2 altered: another request of the user in the scope is pending too",
			},
		} {
			assert.ElementsMatch(t, want, show(notes, kind), kind)
		}
		assert.Contains(t, report.String(), "\n1 invitations wait for approval: ")

		e.hasRows()
		assert.Empty(t, storetest.Jobs(t, e.db, "deliver_invitation"), "nothing is mailed")
		assert.Empty(t, storetest.Jobs(t, e.db, "notify_user"), "nothing is mailed")
		assert.Empty(t, e.table("SELECT event_type FROM invitation_events"))

		again, _ := e.run()
		for kind, c := range again.Counts {
			assert.Equal(t, c.Read, c.Unchanged+c.Left, kind)
			assert.Equal(t, report.Counts[kind].Left, c.Left, kind)
		}
	})
}

// table returns what a query of our database finds, each row as one text.
func (e *env) table(query string) []string {
	e.Helper()
	var found []string
	require.NoError(e, e.query(query, &found))
	return found
}

// hasRows asserts what the rows of rows.sql have become.
func (e *env) hasRows() {
	e.Helper()
	assert.Equal(e, []string{
		"ina|Ina|Ina@University.example|ina@university.example|38601010000|true",
		"ivo|Ivo Inactive|ivo@acme.example|ivo@acme.example||false",
		"odd|" + strings.Repeat("Long", 25) + "||||true",
		"olivia|Olivia Owner|olivia@acme.example|olivia@acme.example||true",
		"sam|Sam Staff|sam@staff.example|sam@staff.example||true",
		"sue|Sue Support|SAM@staff.example|sam@staff.example||true",
	}, e.table("SELECT username || '|' || full_name || '|' || email || '|' || email_folded || '|' || civil_number || '|' ||"+
		" CASE WHEN is_active THEN 'true' ELSE 'false' END FROM users ORDER BY username"))
	assert.Equal(e, []string{
		"CUSTOMER.OWNER customer [\"CUSTOMER.CREATE_PERMISSION\",\"INVITATION.LIST\",\"PROJECT.CREATE_PERMISSION\"]",
		"OFFERING.MANAGER offering [\"OFFERING.CREATE\"]",
		"PROJECT.ADMIN project []",
		"PROJECT.MEMBER project []",
		"PROJECT.MEMBER (b0000000) project []",
		"PROPOSAL.MEMBER proposal []",
	}, e.table("SELECT name || ' ' || scope_type || ' ' || permissions FROM roles ORDER BY name"))
	assert.Equal(e, []string{
		token.Digest("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1"), token.Digest("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa2"),
		token.Digest("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa3"),
	}, e.table("SELECT digest FROM api_tokens JOIN users ON users.uuid = user_uuid ORDER BY users.uuid"))
	assert.Equal(e, []string{
		"A paper proposal Acme", "Acme customer Acme", "Apollo project Acme", "Artemis project Acme", "Dropped project Acme",
		"GPU nodes offering Acme", "Globex (West) customer Globex (West)", "Spring call call Acme",
		strings.Repeat("Ü", 255) + " project Globex (West)",
	}, e.table("SELECT s.name || ' ' || s.type || ' ' || c.name FROM scopes AS s JOIN scopes AS c ON c.uuid = s.customer_uuid ORDER BY s.name"))
	assert.Equal(e, []string{`[".*@globex\\.example","[^\\x00-\\x{10FFFF}]"]`},
		e.table("SELECT user_email_patterns FROM scopes WHERE name = 'Globex (West)'"))
	assert.Equal(e, []string{
		"ina PROJECT.MEMBER Apollo olivia", "ivo PROJECT.MEMBER (b0000000) " + strings.Repeat("Ü", 255) + " nobody",
		"odd OFFERING.MANAGER GPU nodes nobody", "odd PROPOSAL.MEMBER A paper olivia", "olivia CUSTOMER.OWNER Acme sam",
	}, e.table("SELECT u.username || ' ' || r.name || ' ' || s.name || ' ' || COALESCE(cb.username, 'nobody') FROM memberships AS m"+
		" JOIN users AS u ON u.uuid = m.user_uuid JOIN roles AS r ON r.uuid = m.role_uuid JOIN scopes AS s ON s.uuid = m.scope_uuid"+
		" LEFT JOIN users AS cb ON cb.uuid = m.created_by_uuid WHERE m.revoked IS NULL ORDER BY u.username, r.name"))
	assert.Equal(e, []string{
		"1 pending OK olivia 38601010000 Ina University Hello", "2 canceled OK olivia", "3 expired OK olivia", "4 requested Scheduled olivia",
		"5 project Scheduled olivia", "6 accepted OK sam", "7 expired OK olivia", "8 canceled OK nobody", "9 rejected Scheduled nobody",
		"10 canceled OK olivia", "11 pending Erred olivia", "12 pending Erred olivia", "17 pending OK sam", "18 pending OK olivia",
		"19 pending OK olivia",
	}, e.invitations())
	assert.Equal(e, []string{
		"Mailbox full", "Waldur had not sent this invitation before it was imported. Send it again.",
	}, e.table("SELECT error_message FROM invitations WHERE execution_state = 'Erred' ORDER BY error_message"))
	assert.Equal(e, []string{"2000"}, e.table("SELECT CAST(max(length(extra_invitation_text)) AS text) FROM invitations"))
	counted, err := e.db.InvitationsByState(e.Context())
	require.NoError(e, err)
	assert.EqualValues(e, 6, counted["pending"])
	assert.EqualValues(e, 3, counted["canceled"])
	assert.Equal(e, []string{
		`1 PROJECT.ADMIN Apollo olivia [".*@university\\.example"] ["student"] Come in`, `2 PROJECT.MEMBER Acme sam [] [] `,
		`3 PROJECT.ADMIN Apollo nobody [] [] `,
	}, e.table("SELECT CAST(substr(CAST(g.uuid AS text), 36) AS text) || ' ' || r.name || ' ' || s.name || ' ' || COALESCE(u.username, 'nobody')"+
		" || ' ' || g.user_email_patterns || ' ' || g.user_affiliations || ' ' || g.custom_text FROM group_invitations AS g"+
		" JOIN roles AS r ON r.uuid = g.role_uuid JOIN scopes AS s ON s.uuid = g.scope_uuid LEFT JOIN users AS u ON u.uuid = g.created_by_uuid"+
		" ORDER BY g.uuid"))
	assert.Equal(e, []string{"1 pending ina true", "2 pending ina false", "3 approved odd false", "4 rejected odd true", "6 draft odd true"},
		e.table("SELECT substr(CAST(p.uuid AS text), 36) || ' ' || state || ' ' || u.username || ' ' ||"+
			" CASE WHEN is_exclusive THEN 'true' ELSE 'false' END FROM permission_requests AS p JOIN users AS u ON u.uuid = p.created_by_uuid"+
			" ORDER BY p.uuid"))
}

// The life that an invitation has in Waldur goes on here.
func TestLifetimeOfWaldur(t *testing.T) {
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		e := newEnv(t, engine, "waldur.sql", "rows.sql")
		e.run(func(i *waldur.Import) { i.WaldurLifetime = 30 * 24 * time.Hour })
		assert.Equal(t, []string{"2026-12-01"}, e.table("SELECT substr(CAST(expires_at AS text), 1, 10) FROM invitations WHERE email = 'late@university.example'"))
		assert.Equal(t, []string{"pending"}, e.table("SELECT state FROM invitations WHERE email = 'late@university.example'"))
	})
}

// What happens in Waldur after an import is imported by the next one, and what was decided here stays.
func TestImportAgain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		e := newEnv(t, engine, "waldur.sql", "rows.sql")
		e.run()
		// In Waldur
		e.exec("UPDATE core_user SET first_name = 'Olive', is_support = true WHERE id = 2")
		e.exec("UPDATE structure_project SET name = 'Apollo 11', is_removed = true WHERE id = 1")
		e.exec("UPDATE permissions_userrole SET is_active = false WHERE id = 1")
		e.exec("UPDATE permissions_userrole SET expiration_time = '2098-01-01 00:00+00' WHERE id = 2")
		e.exec("INSERT INTO permissions_rolepermission (permission, role_id) VALUES ('PROJECT.UPDATE', 2)")
		e.exec("UPDATE users_invitation SET state = 'accepted' WHERE id = 12")
		e.exec("UPDATE authtoken_token SET created = '2026-11-23 09:20+00' WHERE user_id = 3")
		e.exec("UPDATE users_permissionrequest SET state = 5 WHERE id = 1")
		e.exec("UPDATE users_groupinvitation SET is_active = false WHERE id = 2")
		// A newer open invitation to the target of 18 takes its place.
		e.exec(`INSERT INTO users_invitation (id, uuid, created, state, execution_state, email, role_id, content_type_id, object_id, customer_id)
			VALUES (20, '10000000000040008000000000000020', '2026-11-22 09:30+00', 'pending', 'OK', 'Sell@University.example', 5, 44, 1, 1)`)
		// So does one to the target of 17, which was deleted.
		e.exec("DELETE FROM users_invitation WHERE id = 17")
		e.exec(`INSERT INTO users_invitation (id, uuid, created, state, execution_state, email, role_id, content_type_id, object_id, customer_id)
			VALUES (21, '10000000000040008000000000000021', '2026-11-22 09:30+00', 'pending', 'OK', 'long@university.example', 3, 19, 4, 2)`)
		// Here
		tokens, err := e.revokeToken(id("a", "1"))
		require.NoError(t, err)
		require.Len(t, tokens, 1)
		e.accept(id("1", "19"))
		e.revokeRole(id("f", "9"))

		dry, _ := e.run(dryRun)
		report, notes := e.run()
		assert.Equal(t, dry.String(), report.String())
		changed := map[waldur.Kind]waldur.Count{}
		for kind, c := range report.Counts {
			c.Read, c.Unchanged, c.Left = 0, 0, 0
			changed[kind] = c
		}
		assert.Equal(t, map[waldur.Kind]waldur.Count{
			// Accepting needs an active role, which Waldur's is not.
			waldur.Roles: {Changed: 2}, waldur.Users: {Changed: 1}, waldur.Tokens: {Changed: 1}, waldur.Customers: {},
			waldur.Projects: {Changed: 1}, waldur.OtherScopes: {}, waldur.Memberships: {Changed: 2},
			// 1 and 11 are canceled with their project, 12 is accepted, 18 is displaced by 20
			waldur.Invitations: {Created: 2, Changed: 4}, waldur.Groups: {Changed: 2}, waldur.Requests: {Changed: 2},
		}, changed)
		assert.Subset(t, show(notes, waldur.Tokens), []string{"1 left: the token was revoked here"})
		assert.Subset(t, show(notes, waldur.Invitations), []string{"19 left: it was changed here, and stays as it is"})
		assert.Subset(t, show(notes, waldur.Memberships), []string{"9 left: the role was revoked here"})
		assert.Equal(t, []string{
			"1 canceled OK olivia 38601010000 Ina University Hello", "2 canceled OK olivia", "3 expired OK olivia", "4 requested Scheduled olivia",
			"5 project Scheduled olivia", "6 accepted OK sam", "7 expired OK olivia", "8 canceled OK nobody", "9 rejected Scheduled nobody",
			"10 canceled OK olivia", "11 canceled Processing olivia", "12 accepted Erred olivia", "17 canceled OK sam", "18 canceled OK olivia",
			"19 accepted OK olivia", "20 pending OK nobody", "21 pending OK nobody",
		}, e.invitations())
		assert.Equal(t, []string{"Apollo 11"}, e.table("SELECT name FROM scopes WHERE name LIKE 'Apollo%' AND is_removed"))
		assert.Equal(t, []string{"Olive Owner"}, e.table("SELECT full_name FROM users WHERE is_support AND NOT is_staff AND username = 'olivia'"))
		assert.Equal(t, []string{"2098-01-01"}, e.table("SELECT substr(CAST(expires AS text), 1, 10) FROM memberships WHERE expires IS NOT NULL"))
		counted, err := e.db.InvitationsByState(t.Context())
		require.NoError(t, err)
		assert.EqualValues(t, 2, counted["pending"])

		third, _ := e.run()
		for kind, c := range third.Counts {
			assert.Zero(t, c.Created+c.Changed, kind)
		}
	})
}

// An import does not bring back who was erased here.
func TestImportLeavesWhoWasErased(t *testing.T) {
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		e := newEnv(t, engine, "waldur.sql", "rows.sql")
		e.run()
		_, err := (&person.Service{Store: e.db.Persons(), Lifetime: week}).Erase(t.Context(), "olivia@acme.example")
		require.NoError(t, err)
		const users = "SELECT username || email || full_name FROM users ORDER BY uuid"
		const held = "SELECT CAST(uuid AS text) FROM memberships WHERE revoked IS NULL ORDER BY uuid"
		const tokens = "SELECT digest FROM api_tokens ORDER BY digest"
		before := [][]string{e.table(users), e.table(held), e.table(tokens), e.invitations()}
		require.Len(t, e.table(tokens), 2)
		report, notes := e.run()
		assert.Subset(t, show(notes, waldur.Users), []string{"2 left: was erased here"})
		assert.Contains(t, show(notes, waldur.Memberships), "1 left: its user was left")
		after := [][]string{e.table(users), e.table(held), e.table(tokens), e.invitations()}
		assert.Equal(t, before, after)
		for kind, c := range report.Counts {
			assert.Zero(t, c.Created+c.Changed, kind)
		}
	})
}

// A token ends here as it does in Waldur.
func TestImportEndsTokens(t *testing.T) {
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		e := newEnv(t, engine, "waldur.sql", "rows.sql")
		e.run()
		mine := directory.APIToken{
			UUID: uuid.New(), Digest: token.Digest("mine"), UserUUID: id("a", "2"), Name: "Waldur", Created: e.clock.Now(),
		}
		require.NoError(t, e.db.FileStore().Write(t.Context(), func(tx directory.FileTx) error {
			return tx.SaveTokens([]directory.APIToken{mine})
		}))
		e.exec("UPDATE authtoken_token SET key = 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb1' WHERE user_id = 1")
		e.exec("DELETE FROM authtoken_token WHERE user_id = 2")
		e.exec("UPDATE core_user SET token_lifetime = 600 WHERE id = 3") // 09:10 is past
		e.run(func(i *waldur.Import) { i.WithTokens = false })
		require.Len(t, e.table("SELECT digest FROM api_tokens"), 4, "an import without tokens leaves them alone")

		dry, _ := e.run(dryRun)
		report, notes := e.run()
		assert.Equal(t, dry.String(), report.String())
		assert.Equal(t, waldur.Count{Read: 7, Created: 1, Changed: 3, Left: 3}, report.Counts[waldur.Tokens])
		assert.Subset(t, show(notes, waldur.Tokens), []string{
			"1 altered: a token of the user was replaced or deleted in Waldur: revoked",
			"2 altered: a token of the user was replaced or deleted in Waldur: revoked",
		})
		assert.ElementsMatch(t, []string{
			token.Digest("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb1") + " never", mine.Digest + " never",
			token.Digest("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa3") + " 09:10",
		}, e.table("SELECT digest || ' ' || COALESCE(substr(CAST(expires AS text), 12, 5), 'never') FROM api_tokens"))
		assert.Equal(t, []string{"olivia", "sam"}, e.table("SELECT username FROM sign_in_events WHERE event_type = 'token_revoked' ORDER BY username"))

		again, _ := e.run()
		for kind, c := range again.Counts {
			assert.Zero(t, c.Created+c.Changed, kind)
		}
		e.exec("DROP TABLE authtoken_token")
		e.run()
		assert.Len(t, e.table("SELECT digest FROM api_tokens"), 3, "of a Waldur without the table nothing is known")
	})
}

// Without the events of what was decided here an import would undo it.
func TestImportAfterEventsWereDeleted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		e := newEnv(t, engine, "waldur.sql", "rows.sql")
		e.run()
		require.NoError(t, e.db.Write(t.Context(), func(tx *gorm.DB, _ time.Time) error {
			return tx.Exec("UPDATE event_feed SET deleted = 1").Error
		}))
		e.exec("UPDATE core_user SET first_name = 'Olive' WHERE id = 2")
		for _, change := range []func(*waldur.Import){dryRun, func(*waldur.Import) {}} {
			_, _, err := e.try(change)
			require.ErrorContains(t, err, "INVITED_EVENTS_RETENTION has deleted events here")
			require.NotContains(t, err.Error(), "\n")
		}
		assert.Empty(t, e.table("SELECT full_name FROM users WHERE full_name LIKE 'Olive %'"))
	})
}

// An older Waldur lacks columns and tables, and an even older one can't be read.
func TestOtherVersions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		e := newEnv(t, engine, "waldur.sql", "rows.sql")
		for _, each := range []string{
			"core_user DROP COLUMN notifications_enabled, DROP COLUMN token_lifetime, DROP COLUMN is_support",
			"structure_customer DROP COLUMN description, DROP COLUMN user_email_patterns, DROP COLUMN user_affiliations",
			"structure_project DROP COLUMN start_date, DROP COLUMN user_email_patterns",
			"permissions_role DROP COLUMN is_system_role",
			"users_invitation DROP COLUMN execution_state, DROP COLUMN full_name",
			"users_groupinvitation DROP COLUMN project_role_id, DROP COLUMN auto_approve, DROP COLUMN custom_text, DROP COLUMN user_nationalities",
			"users_permissionrequest DROP COLUMN project_name, DROP COLUMN reviewed_at",
		} {
			e.exec("ALTER TABLE " + each)
		}
		e.exec("DROP TABLE core_personalaccesstoken, authtoken_token, proposal_proposal, proposal_round, proposal_call," +
			" proposal_callmanagingorganisation, marketplace_offering")
		report, notes := e.run()
		assert.Equal(t, waldur.Count{}, report.Counts[waldur.Tokens])
		assert.Equal(t, waldur.Count{Read: 19, Created: 13, Left: 6}, report.Counts[waldur.Invitations])
		assert.Subset(t, show(notes, waldur.Invitations), []string{"18 left: its scope is gone"})
		assert.Equal(t, []string{"OK"}, e.table("SELECT DISTINCT execution_state FROM invitations WHERE state = 'pending'"))

		e.exec("ALTER TABLE users_invitation DROP COLUMN content_type_id")
		_, _, err := e.try()
		require.EqualError(t, err, "this is no database of Waldur MasterMind of January 2024 or newer: its table users_invitation has no column content_type_id")
		e.exec("DROP TABLE core_user CASCADE")
		_, _, err = e.try()
		require.EqualError(t, err, "this is no database of Waldur MasterMind of January 2024 or newer: it has no table core_user")
	})
}

// A directory that is here already is joined by name and uuid.
func TestImportBesideOthers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		e := newEnv(t, engine, "waldur.sql", "rows.sql")
		admin := directory.Role{
			UUID: uuid.New(), Name: "PROJECT.ADMIN", NameFolded: "project.admin", ScopeType: directory.Project,
			Permissions: []string{"PROJECT.CREATE_PERMISSION"}, IsActive: true,
		}
		other := directory.Role{UUID: uuid.New(), Name: "PROPOSAL.MEMBER", ScopeType: directory.Call, IsActive: true}
		ina := directory.User{UUID: uuid.New(), Username: "ina", IsActive: true, Created: e.clock.Now()}
		require.NoError(t, e.db.FileStore().Write(t.Context(), func(tx directory.FileTx) error {
			require.NoError(t, tx.SaveRoles([]directory.Role{admin, other}))
			return tx.SaveUsers([]directory.User{ina})
		}))
		_, notes := e.run()
		assert.Subset(t, show(notes, waldur.Users), []string{"3 left: another user here has the username"})
		assert.Subset(t, show(notes, waldur.Roles), []string{
			"2 altered: a role here has the name: that role is used, with its own permissions",
			"7 left: another role here has the name, for another type of scope",
		})
		assert.Subset(t, show(notes, waldur.Invitations), []string{"19 left: its role was left"})
		assert.Equal(t, []string{`["PROJECT.CREATE_PERMISSION"]`},
			e.table("SELECT DISTINCT r.permissions FROM invitations AS i JOIN roles AS r ON r.uuid = i.role_uuid WHERE r.name = 'PROJECT.ADMIN'"))
		again, _ := e.run()
		for kind, c := range again.Counts {
			assert.Zero(t, c.Created+c.Changed, kind)
		}
	})
}
