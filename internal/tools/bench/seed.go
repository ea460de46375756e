package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Kinds of records. The second group of a record's uuid has its kind.
const (
	ofRole = iota + 1
	ofCustomer
	ofProject
	ofOwner
	ofStaff
	ofInvitee
	ofMembership
	ofInvitation
	ofOffer // an invitation that a request accepts
	ofGroup
	ofRequest
	ofPending // a permission request that is approved
)

// scatter spreads numbers over the first group of a uuid, so that uuids are in random places of an index.
const scatter = 2654435761

func uuidOf(kind, i int) uuid.UUID {
	return uuid.MustParse(fmt.Sprintf("%08x-%04x-4000-8000-%012x", uint32(uint64(i)*scatter), kind, i)) //nolint:gosec // overflow is intended
}

// Numbers of the roles.
const (
	roleOwner = iota
	roleSupport
	roleMember
)

// Numbers of users. Each of the 100 owners has one customer with 50 invitations, at every size of the database.
const (
	owners   = 100
	inView   = 50
	staff    = 10
	invitees = 2000
)

// size has the numbers of records in a database.
type size struct{ invitations, customers int }

// sizeOf returns a size with a customer for each 10 invitations, at least 1,000 and at most 100,000 customers.
func sizeOf(invitations int) size {
	return size{max(invitations, owners*inView), min(max(invitations/10, 1000), 100_000)}
}

const keyPrefix = "inv_"

func keyOf(who string, i int) string { return fmt.Sprintf("%sbench_%s_%d", keyPrefix, who, i) }

// The names have one width, so that SQL can cut the n-th name from a string.
const (
	nameWidth = 8
	given     = "maria   olivia  ina     max     sam     ahmed   chen    priya   lars    kofi    yuki    elena   diego   fatima  noah    zoe     "
	family    = "silva   olsen   tamm    garcia  kumar   wang    smith   rossi   novak   haddad  mensah  tanaka  petrov  dubois  berg    costa   "
)

// nameAt returns SQL for the name whose number is the value of an expression.
func nameAt(names, i string) string {
	return fmt.Sprintf("trim(substr('%s', (1 + %d * ((%s) %% %d))::int, %d))", names, nameWidth, i, len(names)/nameWidth, nameWidth)
}

// emailOf returns a part of the e-mail address of an invitation. The family name changes with each invitation, the given name
// with each sixteenth.
func emailOf(i int) (part string) {
	return fmt.Sprintf("%s.%d@", strings.TrimSpace(family[i%16*nameWidth:i%16*nameWidth+nameWidth]), i)
}

// stateOf is SQL for a state that depends on h, 0 to 99: most invitations are closed.
const stateOf = `CASE WHEN h < 55 THEN 'accepted' WHEN h < 83 THEN 'expired' WHEN h < 88 THEN 'canceled' WHEN h < 90 THEN 'rejected'
	WHEN h < 92 THEN 'requested' ELSE 'pending' END`

// seed fills a migrated database. All values are computed from numbers, so that another process knows them.
func (d *database) seed(ctx context.Context, s size) error {
	insertUsers := func(kind int, name string, count int, staff string) string {
		return fmt.Sprintf(`INSERT INTO users (uuid, username, full_name, email, email_folded, civil_number, image, is_staff, is_support,
			is_active, notifications_enabled, created) SELECT %s, '%s' || i, 'The %s ' || i, '%s' || i || '@people.example',
			'%s' || i || '@people.example', '', '', %s, FALSE, TRUE, FALSE, %s FROM %s`,
			d.id(kind, "i"), name, name, name, name, staff, d.ago("100000000", "i"), d.series(0, count))
	}
	insertScopes := func(kind int, name string) string {
		return fmt.Sprintf(`INSERT INTO scopes (uuid, type, name, name_folded, description, description_folded, customer_uuid, is_removed,
			created) SELECT %s, lower('%s'), '%s ' || i, lower('%s ' || i), 'What the %s is for', lower('What the %s is for'), %s, FALSE, %s FROM %s`,
			d.id(kind, "i"), name, name, name, name, name, d.id(ofCustomer, "i"), d.ago("100000000", "i"), d.series(0, s.customers))
	}
	statements := []string{
		fmt.Sprintf(`INSERT INTO roles (uuid, name, description, scope_type, permissions, is_active) VALUES
			('%s', 'CUSTOMER.OWNER', 'Owner', 'customer', '["CUSTOMER.CREATE_PERMISSION","PROJECT.CREATE_PERMISSION","INVITATION.LIST"]', TRUE),
			('%s', 'CUSTOMER.SUPPORT', 'Support', 'customer', '["INVITATION.LIST"]', TRUE),
			('%s', 'PROJECT.MEMBER', 'Member', 'project', NULL, TRUE)`,
			uuidOf(ofRole, roleOwner), uuidOf(ofRole, roleSupport), uuidOf(ofRole, roleMember)),
		insertScopes(ofCustomer, "Customer"),
		insertScopes(ofProject, "Project"),
		insertUsers(ofOwner, "owner", s.customers, "FALSE"),
		insertUsers(ofStaff, "staff", staff, "TRUE"),
		insertUsers(ofInvitee, "invitee", invitees, "FALSE"),
		fmt.Sprintf(`INSERT INTO memberships (uuid, user_uuid, role_uuid, scope_uuid, created) SELECT %s, %s, '%s', %s, %s FROM %s`,
			d.id(ofMembership, "i"), d.id(ofOwner, "i"), uuidOf(ofRole, roleOwner), d.id(ofCustomer, "i"), d.ago("100000000", "i"),
			d.series(0, s.customers)),
		fmt.Sprintf(`INSERT INTO api_tokens (digest, user_uuid, created) SELECT %s, %s, %s FROM %s`,
			d.noKey(), d.id(ofOwner, "i"), d.ago("100000000", "i"), d.series(owners, s.customers)),
	}
	for i, each := range statements {
		statements[i] = d.plain(each)
	}
	if err := d.exec(ctx, statements...); err != nil {
		return err
	}
	if err := d.bulk(ctx, true, d.plain(d.invitations(s))); err != nil {
		return err
	}
	for _, each := range []struct {
		who         string
		kind, count int
	}{{"owner", ofOwner, owners}, {"staff", ofStaff, staff}, {"invitee", ofInvitee, invitees}} {
		var values []string
		for i := range each.count {
			values = append(values, fmt.Sprintf("('%s', '%s', %s)", digest(keyOf(each.who, i)), uuidOf(each.kind, i), d.plain(d.ago("0", "0"))))
		}
		if err := d.exec(ctx, "INSERT INTO api_tokens (digest, user_uuid, created) VALUES "+strings.Join(values, ", ")); err != nil {
			return err
		}
	}
	return d.settle(ctx)
}

// settle updates the planner's statistics and cleans the tables, so that no such work falls into a measurement.
func (d *database) settle(ctx context.Context) error {
	if d.engine == "sqlite" {
		return d.exec(ctx, "ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)")
	}
	return d.exec(ctx, "VACUUM ANALYZE")
}

// plain returns a statement for the engine: SQLite does not need and does not have PostgreSQL's casts.
func (d *database) plain(statement string) string {
	if d.engine == "sqlite" {
		return strings.ReplaceAll(statement, "::int", "")
	}
	return statement
}

// invitations returns SQL that inserts 50 invitations for each of the 100 owners, and spreads the others over the other
// customers. Open invitations are too young for a reminder, so that a sweep finds nothing to do.
func (d *database) invitations(s size) string {
	ours := owners * inView
	customer := fmt.Sprintf("CASE WHEN i < %d THEN i %% %d ELSE %d + i %% %d END", ours, owners, owners, s.customers-owners)
	return fmt.Sprintf(`INSERT INTO invitations (uuid, state, created, delivery, execution_state, error_message, reminded, role_uuid,
		scope_uuid, customer_uuid, created_by_uuid, email, email_folded, full_name, native_name, phone_number, organization, job_title,
		civil_number, extra_invitation_text)
		SELECT %s, %s, %s, 0, 'OK', '', TRUE, CASE WHEN i %% 3 = 0 THEN %s ELSE %s END, CASE WHEN i %% 3 = 0 THEN %s ELSE %s END, %s, %s,
		given || '.' || family || '.' || i || '@university.example', given || '.' || family || '.' || i || '@university.example',
		given || ' ' || family, '', '', 'University ' || (i %% 997), '', '', 'Please join us: there is a lot to do, and we would like to do it with you.'
		FROM (SELECT i, c, k / 65536 %% 100 AS h, k, %s AS given, %s AS family FROM
			(SELECT i, %s AS c, i * %d & 4294967295 AS k FROM %s) AS numbers) AS named`,
		d.id(ofInvitation, "i"), stateOf,
		d.ago("CASE WHEN h >= 92 THEN k % 432000 ELSE 691200 + k % 63072000 END", "i"),
		quote(d, uuidOf(ofRole, roleSupport)), quote(d, uuidOf(ofRole, roleMember)),
		d.id(ofCustomer, "c"), d.id(ofProject, "c"), d.id(ofCustomer, "c"), d.id(ofOwner, "c"),
		nameAt(given, "i / 16"), nameAt(family, "i"), customer, scatter, d.series(0, s.invitations))
}

func quote(d *database, id uuid.UUID) string {
	if d.engine == "sqlite" {
		return "'" + id.String() + "'"
	}
	return "'" + id.String() + "'::uuid"
}

// offers creates invitations of an age for requests that accept. Each invitee's offers are to different projects.
func (d *database) offers(ctx context.Context, count int, age time.Duration) error {
	project := fmt.Sprintf("(i / %d %% %d)", invitees, owners)
	return d.bulk(ctx, false, d.plain(fmt.Sprintf(`INSERT INTO invitations (uuid, state, created, delivery, execution_state, error_message,
		reminded, role_uuid, scope_uuid, customer_uuid, created_by_uuid, email, email_folded, full_name, native_name, phone_number,
		organization, job_title, civil_number, extra_invitation_text)
		SELECT %s, 'pending', %s, 0, 'OK', '', TRUE, %s, %s, %s, %s, 'invitee' || i || '%s', 'invitee' || i || '%s',
		'', '', '', '', '', '', '' FROM %s`,
		d.id(ofOffer, "i"), d.ago(fmt.Sprint(int(age.Seconds())), "i"), quote(d, uuidOf(ofRole, roleMember)), d.id(ofProject, project),
		d.id(ofCustomer, project), d.id(ofOwner, project), made, made, d.series(0, count))))
}

// bulk runs statements on many invitations without the foreign keys, and where asked without the indexes. It computes the counts
// and creates the indexes afterwards.
func (d *database) bulk(ctx context.Context, indexes bool, statements ...string) error {
	parts := "SELECT name, type, sql FROM sqlite_master WHERE tbl_name = 'invitations' AND type = 'index' AND sql <> ''"
	before, after := "PRAGMA foreign_keys = OFF", "PRAGMA foreign_keys = ON"
	if d.engine == "postgres" {
		parts = "SELECT indexname, 'index', indexdef FROM pg_indexes WHERE tablename = 'invitations' AND indexname <> 'invitations_pkey'"
		before, after = "ALTER TABLE invitations DISABLE TRIGGER ALL", "ALTER TABLE invitations ENABLE TRIGGER ALL"
	}
	var taken []part
	if indexes {
		var err error
		if taken, err = d.parts(ctx, parts); err != nil {
			return err
		}
	}
	all := []string{before}
	for _, each := range taken {
		all = append(all, "DROP "+each.kind+" "+each.name)
	}
	all = append(all, statements...)
	for _, each := range taken {
		all = append(all, each.sql)
	}
	var counts []string
	for _, state := range []string{"project", "requested", "rejected", "pending", "accepted", "canceled", "expired"} {
		counts = append(counts, fmt.Sprintf("%s = CASE WHEN shard = 0 THEN (SELECT count(*) FROM invitations WHERE state = '%s') ELSE 0 END",
			state, state))
	}
	return d.exec(ctx, append(all, after, "UPDATE invitation_counts SET "+strings.Join(counts, ", "))...)
}

type part struct{ name, kind, sql string }

func (d *database) parts(ctx context.Context, query string) (found []part, err error) {
	rows, err := d.sql.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var each part
		if err := rows.Scan(&each.name, &each.kind, &each.sql); err != nil {
			return nil, err
		}
		found = append(found, each)
	}
	return found, rows.Err()
}

// made is the end of the e-mail addresses of invitations that a measurement creates.
const made = "@made.example"

// reset deletes the rows that a measurement created.
func (d *database) reset(ctx context.Context) error {
	err := d.bulk(ctx, false, "DELETE FROM invitations WHERE email_folded LIKE '%"+made+"'",
		"DELETE FROM memberships WHERE role_uuid = '"+uuidOf(ofRole, roleMember).String()+"'",
		"DELETE FROM river_job", "DELETE FROM invitation_events")
	if err != nil || d.engine == "sqlite" {
		return err
	}
	return d.exec(ctx, "VACUUM ANALYZE invitations, memberships, river_job, invitation_events, invitation_counts")
}
