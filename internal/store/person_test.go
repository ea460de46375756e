package store_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/bulk"
	"invited/internal/directory"
	"invited/internal/identity"
	"invited/internal/invitation"
	"invited/internal/joining"
	"invited/internal/person"
	"invited/internal/store"
	"invited/internal/storetest"
)

// Whoever adds a column to the schema says what it keeps of a person: in personTables of person_tables.go.
func TestEachColumnSaysWhatItKeepsOfAPerson(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		var columns []string
		e := &env{t: t, outside: outside(t, engine.Fresh(t))}
		for _, each := range e.texts(introspection[engine.Name]["columns"]) {
			// goose_lock, which PostgreSQL alone has, says who migrates.
			if name, _, _ := strings.Cut(each, " "); !strings.HasPrefix(name, "sqlite_") && !strings.HasPrefix(name, "goose_lock.") {
				columns = append(columns, name)
			}
		}
		require.Greater(t, len(columns), 200)
		require.ElementsMatch(t, columns, store.PersonColumns())
	})
}

// ann is who is erased, as somebody typed the address.
const (
	ann     = "Ann.Lee+x@MÜLLER.example"
	annName = "Ann Wilhelmina"
)

// annSpellings are what no row has after ann is erased, in lower case.
var annSpellings = []string{
	"ann.lee+x@müller.example", "ann.lee+x@xn--mller-kva.example", `ann\.lee\+x@müller`, `ann.lee+x@mÜller.example`, "wilhelmina",
	"ann-lee-x-m-ller", "ann-lee-x-muller", "anns-phone", "anns-number", "ann-subject", "203.0.113.7", "ann has moved",
}

// annNeighbours are the addresses of others, which have ann's in them.
var annNeighbours = []string{
	"joann.lee+x@müller.example", "ann.lee+x@müller.example.org", "o'ann.lee+x@müller.example", "a/ann.lee+x@müller.example",
	"a=ann.lee+x@müller.example", "a!ann.lee+x@müller.example", "a#ann.lee+x@müller.example", "a&ann.lee+x@müller.example",
	"a*ann.lee+x@müller.example", "a~ann.lee+x@müller.example", "'ann.lee+x@müller.example",
}

// annID is the user with the address.
var annID = uuid.MustParse("c0000000-0000-4000-8000-0000000000aa")

// fillWithAnn writes what a database can have of ann, and the like of others.
func (e *env) fillWithAnn() {
	e.t.Helper()
	applyFile(e.t, e.db, fmt.Sprintf(`users:
- {username: ann.lee+x@müller.example, uuid: %s, email: Ann.Lee+X@xn--mller-kva.example, full_name: %s, civil_number: anns-number, tokens: [anns]}
- {username: robot, email: %s}
- {username: "o'ann.lee+x@müller.example", email: "O'ann.lee+x@müller.example"}
- {username: "a/ann.lee+x@müller.example", email: "a=ann.lee+x@müller.example"}`, annID, annName, ann))
	require.NoError(e.t, e.exec("UPDATE users SET kind = 'service', image = 'https://x.example/?u=ann.lee%%2Bx%%40müller.example' WHERE username = 'robot'"))
	for n, state := range invitation.States {
		i := e.newInvitation(ann)
		i.StoredState, i.FullName, i.NativeName, i.PhoneNumber, i.CivilNumber = state, annName, annName, "anns-phone", "anns-number"
		i.ExtraInvitationText, i.ErrorMessage = "Dear "+annName, "550 <ann.lee+x@xn--mller-kva.example>: no"
		if n%2 == 0 {
			i.Email = "ann.lee+x@xn--mller-kva.example"
		}
		if state == invitation.Canceled {
			i.DeclinedAt, i.DeclineReason = new(time.Now()), "ann has moved"
		}
		if state == invitation.Project || state == invitation.Requested {
			i.RoleUUID = []uuid.UUID{memberRoleID, adminRoleID}[n%2]
			i.ScopeUUID = []uuid.UUID{projectID, customerID}[n%2]
		}
		created := newEvent(i.UUID, invitation.EventCreated)
		created.Email, created.MailTo, created.UserUUID, created.UserUsername = i.Email, &i.EmailFolded, &oliviaID, "olivia"
		declined := newEvent(i.UUID, invitation.EventDeclined)
		declined.Email, declined.UserUUID, declined.UserUsername, declined.UserFullName = i.Email, &annID, "ann.lee+x@müller.example", annName
		declined.Reason, declined.Recipient = "ann has moved", ann
		require.NoError(e.t, e.change(invitation.Change{After: &i, Event: created}, invitation.Change{Event: declined}))
	}
	// An invitation that was deleted, and one that was to ann before it was to somebody else.
	gone := newEvent(uuid.New(), invitation.EventDeleted)
	gone.Email = ann
	other := e.newInvitation("other@x.example")
	other.ExtraInvitationText = "Instead of ann.lee+x@müller.example."
	former := newEvent(other.UUID, invitation.EventUpdated)
	former.Email, former.ErrorMessage = ann, "Not sent to "+ann
	require.NoError(e.t, e.change(invitation.Change{After: &other, Event: former}, invitation.Change{Event: gone}))

	signIn := func(f func(tx identity.Tx) error) { require.NoError(e.t, e.db.Identities().Write(e.t.Context(), f)) }
	signIn(func(tx identity.Tx) error {
		now := tx.Now()
		_, err := tx.SaveIdentity(identity.Identity{Issuer: "https://id.example", Subject: "ann-subject", UserUUID: annID, Created: now, LastUsed: now})
		_, err2 := tx.SaveIdentity(identity.Identity{Issuer: "https://proxy.example", Subject: ann, UserUUID: oliviaID, Created: now, LastUsed: now})
		return errors.Join(err, err2,
			tx.SaveSession(identity.Session{Digest: "s", UserUUID: annID, Created: now, LastUsed: now, Client: "203.0.113.7"}),
			tx.SaveTicket(identity.Ticket{Digest: "t", UserUUID: annID, Created: now}),
			tx.SaveCodeRequest(identity.CodeRequest{
				UUID: uuid.New(), Browser: "b", Email: ann, EmailFolded: directory.FoldEmail(ann), Client: "203.0.113.7", Created: now,
			}, "", identity.SendCode{}),
			tx.SaveSignInEvent(identity.Event{Type: identity.EventSignedIn, UserUUID: &annID, Username: "ann.lee+x@müller.example", Client: "203.0.113.7"}),
			tx.SaveSignInEvent(identity.Event{Type: identity.EventRefused, Client: "203.0.113.7", Detail: "a wrong code for " + ann}),
			tx.SaveSignInEvent(identity.Event{Type: identity.EventTokenCreated, UserUUID: &oliviaID, Username: "olivia", Detail: "for " + ann}))
	})
	require.NoError(e.t, e.change(invitation.Change{Member: &directory.Membership{
		UUID: uuid.New(), UserUUID: annID, RoleUUID: adminRoleID, ScopeUUID: projectID, Created: time.Now(), CreatedByUUID: &oliviaID,
	}}))
	content := func(email string) bulk.Row {
		return bulk.Row{Line: 2, Email: email, Role: "PROJECT.ADMIN", FullName: annName, PhoneNumber: "anns-phone"}
	}
	b := bulk.Bulk{UUID: uuid.New(), CreatedByUUID: &oliviaID, OnDuplicate: bulk.Skip, Created: time.Now(), Total: 3, Counts: bulk.Counts{}}
	require.NoError(e.t, e.db.Bulk().Change(e.t.Context(), func(bulk.Tx) (bulk.Change, error) {
		return bulk.Change{New: &b, Rows: []bulk.Row{content(ann), content("ANN.LEE+X@müller.example"), {Email: "b@x.example", Role: "r"}}}, nil
	}))
	require.NoError(e.t, e.exec(`UPDATE bulk_invitation_rows SET result = 'invalid', errors = '{"email":["%s is not known."]}' WHERE position = 0`, ann))

	group, role := uuid.New(), adminRoleID
	template, now := "Lab of {email}", time.Now()
	g := joining.GroupInvitation{
		UUID: group, Created: now, NotCanceled: true, RoleUUID: role, ScopeUUID: projectID, CustomerUUID: customerID, CreatedByUUID: &oliviaID,
		NameTemplate: &template, EmailPatterns: []string{`^ann\.lee\+x@müller\.example$`}, CustomText: "Ask " + ann, Affiliations: []string{}, IdentitySources: []string{},
	}
	require.NoError(e.t, e.db.Joining().Change(e.t.Context(), func(joining.Tx) ([]joining.Change, error) {
		return []joining.Change{{After: &g}}, nil
	}))
	for _, state := range []joining.State{joining.Pending, joining.Rejected} {
		r := joining.Request{
			UUID: uuid.New(), GroupInvitationUUID: group, State: state, Created: now, CreatedByUUID: annID, ScopeUUID: projectID,
			CustomerUUID: customerID, ProjectName: "Lab of " + annName, ReviewComment: "ann has moved", IsExclusive: true,
		}
		require.NoError(e.t, e.db.Joining().Change(e.t.Context(), func(joining.Tx) ([]joining.Change, error) {
			return []joining.Change{{RequestAfter: &r, Event: &joining.Event{
				GroupInvitationUUID: group, PermissionRequestUUID: &r.UUID, Type: joining.EventRejected, UserUUID: &oliviaID, UserUsername: "olivia",
				Message: "Permission request of ann.lee+x@müller.example for Apollo has been rejected by olivia.", Comment: "ann has moved", Recipient: ann,
			}}}, nil
		}))
	}
	for _, statement := range []string{
		"UPDATE scopes SET name = 'Lab of ann.lee+x@müller.example', name_folded = 'lab of ann.lee+x@müller.example'," +
			" slug = 'lab-of-ann-lee-x-muller-example', user_email_patterns = '[\"ann\\\\.lee\\\\+x@müller\\\\.example\"]' WHERE type = 'project'",
		"INSERT INTO idempotency_keys (user_uuid, digest, created, size, answer) VALUES ('" + annID.String() + "', 'd', '2026-11-23T09:30:00.000000Z', 1, '')",
		"INSERT INTO request_mails (user_uuid, begun) VALUES ('" + annID.String() + "', '2026-11-23T09:30:00.000000Z')",
		"INSERT INTO request_notices (user_uuid, invitation_uuid, delivery) VALUES ('" + annID.String() + "', '" + group.String() + "', 1)",
	} {
		require.NoError(e.t, e.exec("%s", statement))
	}
	failure := `json('[{"error":"550 <ann.lee+x@xn--mller-kva.example>: no"}]')`
	if e.postgres {
		failure = `ARRAY['{"error":"550 <ann.lee+x@xn--mller-kva.example>: no"}'::jsonb]`
	}
	require.NoError(e.t, e.exec("UPDATE river_job SET errors = %s WHERE id = (SELECT min(id) FROM river_job)", failure))

	// Others.
	for _, each := range annNeighbours {
		i := e.newInvitation(each)
		i.FullName = "Somebody Else"
		if !strings.HasPrefix(each, "'") { // which is a quote in a text
			i.ExtraInvitationText = "Dear " + each
		}
		created := newEvent(i.UUID, invitation.EventCreated)
		created.Email, created.MailTo, created.Recipient, created.UserUsername = each, &i.EmailFolded, each, each
		signIn(func(tx identity.Tx) error {
			now := tx.Now()
			_, err := tx.SaveIdentity(identity.Identity{Issuer: "https://proxy.example", Subject: each, UserUUID: oliviaID, Created: now, LastUsed: now})
			return errors.Join(err, tx.SaveSignInEvent(identity.Event{Type: identity.EventRefused, Username: each, Subject: each}))
		})
		require.NoError(e.t, e.change(invitation.Change{After: &i, Event: created}))
	}
}

// dump returns every row of every table as one text in lower case.
func (e *env) dump() []string {
	e.t.Helper()
	query := "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
	if e.postgres {
		query = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
	}
	var all []string
	for _, table := range e.texts(query) {
		all = append(all, e.dumpTable(table)...)
	}
	return all
}

// dumpTable returns the rows of a table.
func (e *env) dumpTable(table string) (all []string) {
	e.t.Helper()
	rows, err := e.outside.Query("SELECT * FROM " + table)
	require.NoError(e.t, err)
	defer func() { require.NoError(e.t, rows.Close()) }()
	names, err := rows.Columns()
	require.NoError(e.t, err)
	for rows.Next() {
		values, into := make([]any, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		require.NoError(e.t, rows.Scan(into...))
		line := table
		for i, value := range values {
			if text, ok := value.([]byte); ok {
				value = string(text)
			}
			line += fmt.Sprintf(" %s=%v", names[i], value)
		}
		all = append(all, strings.ToLower(line))
	}
	require.NoError(e.t, rows.Err())
	return all
}

// naming returns the rows of a dump that name ann.
func naming(dump []string) (found []string) {
	var pairs []string
	for _, each := range annNeighbours {
		pairs = append(pairs, each, "")
	}
	for _, line := range dump {
		others := strings.NewReplacer(pairs...).Replace(line)
		if slices.ContainsFunc(annSpellings, func(spelling string) bool { return strings.Contains(others, spelling) }) {
			found = append(found, line)
		}
	}
	return found
}

// export returns what an export of ann has.
func (e *env) export(s *person.Service) (rows int, tables map[string][]map[string]any) {
	e.t.Helper()
	var written bytes.Buffer
	rows, err := s.Export(e.t.Context(), "ANN.lee+x@xn--mller-kva.example", &written)
	require.NoError(e.t, err)
	var all map[string]json.RawMessage
	require.NoError(e.t, json.Unmarshal(written.Bytes(), &all), written.String())
	require.JSONEq(e.t, `"ann.lee+x@müller.example"`, string(all["email"]))
	require.NotEmpty(e.t, all["exported"])
	delete(all, "email")
	delete(all, "exported")
	tables = map[string][]map[string]any{}
	for name, list := range all {
		var found []map[string]any
		require.NoError(e.t, json.Unmarshal(list, &found))
		tables[name] = found
	}
	return rows, tables
}

func TestErasePerson(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		e.fillWithAnn()
		s := &person.Service{Store: e.db.Persons(), Lifetime: lifetime}
		before := e.dump()
		require.Greater(t, len(naming(before)), 30)

		_, tables := e.export(s)
		counted := map[string]int{}
		for name, rows := range tables {
			counted[name] = len(rows)
		}
		require.Equal(t, map[string]int{
			"bulk_invitation_rows": 2, "users": 2, "identities": 2, "sessions": 1, "sign_in_tickets": 1, "sign_in_codes": 1, "sign_in_events": 4,
			"api_tokens": 1, "memberships": 1, "idempotency_keys": 1, "request_notices": 1, "request_mails": 1, "invitations": 8,
			"permission_requests": 2, "invitation_events": 16, "group_invitation_events": 2, "group_invitations": 1, "scopes": 1, "river_job": 1,
		}, counted)
		for _, row := range tables["invitations"] {
			if _, isHers := row["email"]; !isHers {
				require.Equal(t, []string{"extra_invitation_text"}, slices.Sorted(maps.Keys(row)), "of others the text alone, without the link")
				continue
			}
			require.NotEmpty(t, row["uuid"])
			require.Equal(t, annName, row["full_name"])
			require.Equal(t, "anns-phone", row["phone_number"])
		}
		exported := fmt.Sprint(tables)
		hers := e.texts("SELECT CAST(uuid AS text) FROM invitations WHERE email_folded = 'ann.lee+x@müller.example'")
		require.Len(t, hers, 7)
		for _, id := range e.texts("SELECT CAST(uuid AS text) FROM invitations") {
			require.Equal(t, slices.Contains(hers, id), strings.Contains(exported, id), "the uuid of an invitation is its link")
		}
		for _, text := range []string{"joann", "müller.example.org", "Somebody Else", "olivia@acme.example", "other@x.example", "digest"} {
			require.NotContains(t, exported, text)
		}
		kept, err := s.Count(t.Context(), ann)
		require.NoError(t, err)
		require.Len(t, kept, len(tables))
		require.Equal(t, before, e.dump(), "an export and a dry run write nothing")

		done, err := s.Erase(t.Context(), ann)
		require.NoError(t, err)
		require.Equal(t, 7, done.Invitations)
		require.Equal(t, 3, done.Open)
		require.Equal(t, 2, done.Users, "the service user too")
		require.Empty(t, naming(e.dump()))

		rows, tables := e.export(s)
		require.Zero(t, rows, tables)
		again, err := s.Erase(t.Context(), ann)
		require.NoError(t, err)
		require.Zero(t, again)

		// Invitations and their events have one address, which no two invitations share, and nobody is mailed.
		found := map[string]bool{}
		for _, email := range e.texts("SELECT email FROM invitations WHERE email LIKE 'erased-%'") {
			require.True(t, directory.ValidEmail(email), email)
			found[email] = true
		}
		require.Len(t, found, 7)
		require.Equal(t, 7, e.count(`SELECT count(*) FROM invitations AS i WHERE email LIKE 'erased-%' AND email_folded = email
			AND full_name = '' AND full_name_folded = '' AND civil_number = '' AND extra_invitation_text = ''
			AND state NOT IN ('pending', 'project', 'requested')
			AND EXISTS (SELECT 1 FROM invitation_events AS v WHERE v.invitation_uuid = i.uuid AND v.event_type = 'erased' AND v.email = i.email)
			AND NOT EXISTS (SELECT 1 FROM invitation_events AS v WHERE v.invitation_uuid = i.uuid AND v.email <> i.email)`))
		require.Equal(t, 3, e.count(`SELECT count(*) FROM invitation_events WHERE event_type = 'canceled' AND user_uuid IS NULL AND to_state = 'canceled'`))
		require.Equal(t, e.count("SELECT count(*) FROM invitations"), e.count(`SELECT CAST(sum(project + requested + rejected + pending + accepted
			+ canceled + expired) AS bigint) FROM invitation_counts`))
		require.Equal(t, 0, e.count("SELECT CAST(sum(project + requested) AS bigint) FROM invitation_counts"))

		// The user stays, without anything, and holds nothing.
		require.Equal(t, 1, e.count(`SELECT count(*) FROM users WHERE uuid = '`+annID.String()+`' AND NOT is_active AND email = '' AND full_name = ''
			AND civil_number = '' AND username LIKE 'erased-%'`))
		require.Zero(t, e.count("SELECT count(*) FROM memberships WHERE revoked IS NULL AND user_uuid = '"+annID.String()+"'"))
		require.Equal(t, 1, e.count("SELECT count(*) FROM api_tokens"), "that of olivia")
		require.Zero(t, e.count("SELECT count(*) FROM permission_requests WHERE state = 'pending'"))
		require.Equal(t, 1, e.count("SELECT count(*) FROM group_invitation_events WHERE message LIKE 'Permission request of erased-% for % has been canceled: %'"))
		require.Equal(t, 2, e.count("SELECT count(*) FROM group_invitation_events WHERE message LIKE 'Permission request of erased-% has been rejected by olivia.'"))
		require.Equal(t, []string{"erased"}, e.texts("SELECT event_type FROM sign_in_events WHERE user_uuid = '"+annID.String()+"'"))
		require.Equal(t, 1, e.count("SELECT version FROM group_invitations"), "who edits it from before sees that it has changed")

		require.Equal(t, 1, e.count("SELECT count(*) FROM users WHERE kind = 'service' AND NOT is_active AND username LIKE 'erased-%'"))

		// Nobody else has changed.
		for _, line := range before {
			if !slices.Contains(naming(before), line) && strings.Contains(line, "lee+x") {
				require.Contains(t, e.dump(), line)
			}
		}
		require.Equal(t, 1, e.count("SELECT count(*) FROM invitations WHERE email = 'other@x.example' AND state = 'pending' AND extra_invitation_text LIKE 'Instead of erased-%'"))

		// The row of a bulk invitation that was not done makes nothing.
		var content []bulk.Row
		require.NoError(t, e.db.Bulk().Read(t.Context(), func(tx bulk.Tx) (err error) {
			id := uuid.MustParse(e.texts("SELECT CAST(uuid AS text) FROM bulk_invitations")[0])
			content, err = tx.NextRows(id, 0, 10)
			return err
		}))
		require.Empty(t, content[0].Check()["email"])
		require.Equal(t, []string{"This person was erased."}, content[1].Check()["email"])
		require.Equal(t, "PROJECT.ADMIN", content[1].Role)
		require.Empty(t, content[1].FullName)
		require.Equal(t, "b@x.example", content[2].Email)
	})
}

// Whoever makes an invitation is not shown its link, and a service user is a user with the address.
func TestExportPersonWithoutLinksOfOthers(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		e.fillWithAnn()
		made := e.newInvitation("other2@x.example")
		made.CreatedByUUID = &annID
		created := newEvent(made.UUID, invitation.EventCreated)
		created.Email, created.UserUUID, created.UserUsername = made.Email, &annID, "ann.lee+x@müller.example"
		require.NoError(t, e.change(invitation.Change{After: &made, Event: created}))
		require.NoError(t, e.exec("UPDATE request_notices SET invitation_uuid = '%s'", made.UUID))
		s := &person.Service{Store: e.db.Persons(), Lifetime: lifetime}
		_, tables := e.export(s)
		require.NotContains(t, fmt.Sprint(tables), made.UUID.String())
		require.Len(t, tables["invitations"], 9)
		require.Len(t, tables["invitation_events"], 17)
		require.Len(t, tables["request_notices"], 1)

		require.NoError(t, s.CheckStaff(t.Context(), ann))
		require.NoError(t, e.exec("UPDATE users SET is_support = TRUE WHERE kind = 'service'"))
		require.ErrorContains(t, s.CheckStaff(t.Context(), ann), "robot")
	})
}

// dying is a store whose process is killed before a call.
type dying struct {
	person.Store
	left int
}

var errKilled = errors.New("killed")

func (d *dying) live() error {
	if d.left--; d.left < 0 {
		return errKilled
	}
	return nil
}

func (d *dying) EraseTable(ctx context.Context, p person.Person, table string) (int, error) {
	if err := d.live(); err != nil {
		return 0, err
	}
	return d.Store.EraseTable(ctx, p, table)
}

func (d *dying) EraseInvitations(ctx context.Context, p person.Person, _ int, decide func(invitation.Invitation, time.Time) []invitation.Change) (int, int, error) {
	if err := d.live(); err != nil {
		return 0, 0, err
	}
	return d.Store.EraseInvitations(ctx, p, 2, decide)
}

func (d *dying) EndRequests(ctx context.Context, user uuid.UUID, decide func(joining.Request) (joining.Change, bool)) (int, error) {
	if err := d.live(); err != nil {
		return 0, err
	}
	return d.Store.EndRequests(ctx, user, decide)
}

func (d *dying) EndUser(ctx context.Context, user uuid.UUID) error {
	return errors.Join(d.live(), d.Store.EndUser(ctx, user))
}

func (d *dying) EraseUser(ctx context.Context, user directory.User) error {
	if err := d.live(); err != nil {
		return err
	}
	return d.Store.EraseUser(ctx, user)
}

// A process that is killed anywhere leaves a part, and the next run completes the work.
func TestErasePersonAfterKills(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		e.fillWithAnn()
		kills := 0
		for {
			_, err := (&person.Service{Store: &dying{e.db.Persons(), kills}, Lifetime: lifetime}).Erase(t.Context(), ann)
			if err == nil {
				break
			}
			require.ErrorIs(t, err, errKilled)
			kills++
			require.NotEmpty(t, naming(e.dump()), "there is something to find the rest by")
		}
		require.Greater(t, kills, 20)
		// The store above erases two invitations at a time, and the last run has to find none.
		_, err := (&person.Service{Store: e.db.Persons(), Lifetime: lifetime}).Erase(t.Context(), ann)
		require.NoError(t, err)
		require.Empty(t, naming(e.dump()))
		require.Equal(t, 7, e.count("SELECT count(*) FROM invitation_events WHERE event_type = 'erased'"), "each invitation once")
		require.Equal(t, 1, e.count("SELECT count(DISTINCT user_username) FROM invitation_events WHERE user_uuid = '"+annID.String()+"'"))
	})
}
