package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// invitation has the columns that the API shows.
type invitation struct {
	uuid, role, scope, customer                uuid.UUID
	state, executionState, errorMessage        string
	created                                    time.Time
	email, fullName, nativeName, phoneNumber   string
	organization, jobTitle, civilNumber        string
	extraText                                  string
	roleName, roleDescription                  string
	scopeType, scopeName, scopeDescription     string
	customerName                               string
	start                                      *time.Time
	removed                                    bool
	creatorUsername, creatorName, creatorImage string
}

const columns = `i.uuid, i.role_uuid, i.scope_uuid, i.customer_uuid, i.state, i.execution_state, i.error_message,
	i.created, i.email, i.full_name, i.native_name, i.phone_number, i.organization, i.job_title, i.civil_number,
	i.extra_invitation_text, r.name, r.description, s.type, s.name, s.description, c.name, s.start_date,
	s.is_removed OR c.is_removed, COALESCE(u.username, ''), COALESCE(u.full_name, ''), COALESCE(u.image, '')`

const joins = ` JOIN roles r ON r.uuid = i.role_uuid JOIN scopes s ON s.uuid = i.scope_uuid
	JOIN scopes c ON c.uuid = i.customer_uuid LEFT JOIN users u ON u.uuid = i.created_by_uuid`

func (i *invitation) destinations() []any {
	return []any{
		&i.uuid, &i.role, &i.scope, &i.customer, &i.state, &i.executionState, &i.errorMessage,
		&i.created, &i.email, &i.fullName, &i.nativeName, &i.phoneNumber, &i.organization, &i.jobTitle, &i.civilNumber,
		&i.extraText, &i.roleName, &i.roleDescription, &i.scopeType, &i.scopeName, &i.scopeDescription, &i.customerName, &i.start,
		&i.removed, &i.creatorUsername, &i.creatorName, &i.creatorImage,
	}
}

func (i *invitation) expires() time.Time {
	from := i.created.UTC()
	if i.scopeType == "project" && i.start != nil && i.start.After(from) {
		from = i.start.UTC()
	}
	return from.Add(lifetime)
}

func (i *invitation) stateAt(now time.Time) string {
	if slices.Contains([]string{"requested", "project", "pending"}, i.state) && !now.Before(i.expires()) {
		return "expired"
	}
	return i.state
}

// caller is an authenticated user with the scopes that the user may list and invite into.
type caller struct {
	known, active, staff, seesAll           bool
	uuid                                    uuid.UUID
	username, fullName, image, email, civil string
	expires                                 *time.Time
	lists, invites                          []uuid.UUID // customers, scopes
}

func (c *caller) sees(i *invitation, now time.Time) bool {
	if c.seesAll || slices.Contains(c.lists, i.customer) || slices.Contains(c.invites, i.scope) {
		return true
	}
	state := i.stateAt(now)
	return (state == "pending" || state == "project") && strings.ToLower(i.email) == c.email
}

func (c *caller) manages(i *invitation) bool {
	return c.staff || slices.Contains(c.invites, i.scope) || slices.Contains(c.invites, i.customer)
}

func digest(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// engine is a database with its prepared statements, whose parameters are $1, $2, …
type engine interface {
	query(ctx context.Context, statement string, arguments ...any) (rows, error)
	// time converts a time to the format of the tables.
	time(at time.Time) any
	// in returns the SQL condition that a column is one of the uuids in a parameter.
	in(column, parameter string) string
	uuids(set []uuid.UUID) any
	create(ctx context.Context, made *invitation, arguments []any) (bool, error)
	accept(ctx context.Context, arguments []any) (done, held bool, err error)
}

type rows interface {
	Next() bool
	Scan(to ...any) error
	Err() error
	end()
}

type tables struct{ engine }

func (t tables) caller(ctx context.Context, digest string, now time.Time) (c caller, err error) {
	found, err := t.query(ctx, `SELECT u.uuid, u.username, u.full_name, u.image, u.email_folded, u.civil_number, u.is_staff,
		u.is_staff OR u.is_support, u.is_active, t.expires, m.scope_uuid, COALESCE(s.type, ''), COALESCE(r.permissions, '')
		FROM api_tokens t JOIN users u ON u.uuid = t.user_uuid
		LEFT JOIN memberships m ON m.user_uuid = u.uuid AND m.revoked IS NULL AND (m.expires IS NULL OR m.expires > $2)
		LEFT JOIN scopes s ON s.uuid = m.scope_uuid LEFT JOIN roles r ON r.uuid = m.role_uuid
		WHERE t.digest = $1`, digest, t.time(now))
	if err != nil {
		return c, err
	}
	defer found.end()
	for found.Next() {
		var scope *uuid.UUID
		var kind, permissions string
		err := found.Scan(&c.uuid, &c.username, &c.fullName, &c.image, &c.email, &c.civil, &c.staff,
			&c.seesAll, &c.active, &c.expires, &scope, &kind, &permissions)
		if err != nil {
			return c, err
		}
		c.known = true
		if scope == nil {
			continue
		}
		if kind == "customer" && strings.Contains(permissions, `"INVITATION.LIST"`) {
			c.lists = append(c.lists, *scope)
		}
		if strings.Contains(permissions, `"`+strings.ToUpper(kind)+`.CREATE_PERMISSION"`) {
			c.invites = append(c.invites, *scope)
		}
	}
	return c, found.Err()
}

func (t tables) find(ctx context.Context, id uuid.UUID) (found invitation, ok bool, err error) {
	rows, err := t.query(ctx, "SELECT "+columns+" FROM invitations i"+joins+" WHERE i.uuid = $1", id)
	if err != nil {
		return found, false, err
	}
	defer rows.end()
	if rows.Next() {
		ok, err = true, rows.Scan(found.destinations()...)
	}
	if err == nil {
		err = rows.Err()
	}
	return found, ok, err
}

// listing is the query of a list, the newest invitation first.
type listing struct {
	who          caller
	state, email string
	cutoff       time.Time
	size, offset int
}

// lasting is the SQL condition that an invitation has not expired, with the cutoff as its parameter. The start of the project
// is looked up only for an old invitation.
func lasting(cutoff string) string {
	return "(i.created > " + cutoff + " OR (SELECT l.start_date FROM scopes l WHERE l.uuid = i.scope_uuid) > " + cutoff + ")"
}

func (t tables) list(ctx context.Context, q listing) ([]invitation, int, error) {
	var arguments []any
	argument := func(value any) string {
		arguments = append(arguments, value)
		return fmt.Sprintf("$%d", len(arguments))
	}
	var conditions []string
	cutoff := ""
	if !q.who.seesAll || q.state == "pending" {
		cutoff = argument(t.time(q.cutoff))
	}
	if !q.who.seesAll {
		conditions = append(conditions, "("+t.in("i.customer_uuid", argument(t.uuids(q.who.lists)))+
			" OR "+t.in("i.scope_uuid", argument(t.uuids(q.who.invites)))+
			" OR (i.email_folded = "+argument(q.who.email)+" AND i.state IN ('pending', 'project') AND "+lasting(cutoff)+"))")
	}
	switch q.state {
	case "":
	case "pending":
		conditions = append(conditions, "i.state = 'pending' AND "+lasting(cutoff))
	default: // states that do not depend on time
		conditions = append(conditions, "i.state = "+argument(q.state))
	}
	if q.email != "" {
		conditions = append(conditions, "i.email_folded LIKE "+argument("%"+literal.Replace(strings.ToLower(q.email))+"%")+` ESCAPE '\'`)
	}
	where := ""
	if len(conditions) > 0 {
		where = " WHERE " + strings.Join(conditions, " AND ")
	}
	// The result of a limited view or a search is counted by the query; every other count is read from invitation_counts.
	total := "count(*) OVER ()"
	if q.who.seesAll && q.email == "" {
		total = counted(q.state, cutoff)
	}
	offset := "0"
	if q.offset > 0 {
		offset = argument(q.offset)
	}
	page := fmt.Sprintf("SELECT i.uuid AS page_uuid, %s AS total FROM invitations i%s ORDER BY i.created DESC, i.uuid LIMIT %d OFFSET %s",
		total, where, q.size, offset)
	found, err := t.query(ctx, "SELECT "+columns+", total FROM ("+page+") page JOIN invitations i ON i.uuid = page_uuid"+joins+
		" ORDER BY i.created DESC, i.uuid", arguments...)
	if err != nil {
		return nil, 0, err
	}
	defer found.end()
	count, all := 0, make([]invitation, 0, q.size)
	for found.Next() {
		all = append(all, invitation{})
		if err := found.Scan(append(all[len(all)-1].destinations(), &count)...); err != nil {
			return nil, 0, err
		}
	}
	return all, count, found.Err()
}

// counted returns the number of invitations in a state, or in all states, from invitation_counts.
func counted(state, cutoff string) string {
	switch state {
	case "":
		return "(SELECT CAST(SUM(project + requested + rejected + pending + accepted + canceled + expired) AS bigint) FROM invitation_counts)"
	case "pending":
		return "(SELECT CAST(SUM(pending) AS bigint) FROM invitation_counts) - (SELECT count(*) FROM invitations i" +
			" WHERE i.state = 'pending' AND i.created <= " + cutoff + " AND NOT COALESCE(" + lasting(cutoff) + ", FALSE))"
	default:
		return "count(*) OVER ()"
	}
}

var literal = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// subject is a new invitation with its scope and its role.
func (t tables) subject(ctx context.Context, kind string, scope, role uuid.UUID) (made invitation, ok bool, err error) {
	found, err := t.query(ctx, `SELECT s.uuid, s.type, s.name, s.description, s.start_date, c.uuid, c.name, r.uuid, r.name, r.description
		FROM scopes s JOIN scopes c ON c.uuid = s.customer_uuid JOIN roles r ON r.scope_type = s.type
		WHERE s.uuid = $1 AND s.type = $2 AND NOT s.is_removed AND NOT c.is_removed AND r.uuid = $3 AND r.is_active`,
		scope, kind, role)
	if err != nil {
		return made, false, err
	}
	defer found.end()
	if found.Next() {
		ok, err = true, found.Scan(&made.scope, &made.scopeType, &made.scopeName, &made.scopeDescription, &made.start,
			&made.customer, &made.customerName, &made.role, &made.roleName, &made.roleDescription)
	}
	if err == nil {
		err = found.Err()
	}
	return made, ok, err
}

const (
	insertInvitation = `INSERT INTO invitations (uuid, state, created, delivery, execution_state, error_message, reminded,
		role_uuid, scope_uuid, customer_uuid, created_by_uuid, email, email_folded, full_name, native_name, phone_number,
		organization, job_title, civil_number, extra_invitation_text)
		VALUES ($1, $2, $3, 0, 'Scheduled', '', FALSE, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
		ON CONFLICT DO NOTHING`
	insertEvent = `INSERT INTO invitation_events (invitation_uuid, created, event_type, user_uuid, user_username, user_full_name,
		from_state, to_state, email, role_uuid, role_name, execution_state, error_message, notice, channel, recipient, request_id)`
	takeInvitation = `UPDATE invitations AS i SET state = 'accepted' FROM scopes s, scopes c, roles r
		WHERE i.uuid = $1 AND i.state = 'pending' AND s.uuid = i.scope_uuid AND c.uuid = i.customer_uuid AND r.uuid = i.role_uuid
		AND r.is_active AND NOT s.is_removed AND NOT c.is_removed AND (i.civil_number = '' OR i.civil_number = $2)
		AND (i.created > $3 OR s.start_date > $3)`
	countPending  = `UPDATE invitation_counts SET pending = pending + 1`
	countAccepted = `UPDATE invitation_counts SET pending = pending - 1, accepted = accepted + 1`
)

// create writes an invitation, its event and its job in one transaction. It returns false where another invitation is open.
func (t tables) create(ctx context.Context, i *invitation, by caller) (bool, error) {
	return t.engine.create(ctx, i, []any{
		i.uuid, i.state, t.time(i.created), i.role, i.scope, i.customer, by.uuid, i.email, strings.ToLower(i.email), i.fullName,
		i.nativeName, i.phoneNumber, i.organization, i.jobTitle, i.civilNumber, i.extraText,
		by.username, by.fullName, i.roleName,
	})
}

// accept gives the caller the role and writes state and event, in one transaction. It returns held where the caller has the
// role already.
func (t tables) accept(ctx context.Context, id uuid.UUID, who caller, now time.Time) (done, held bool, err error) {
	return t.engine.accept(ctx, []any{
		id, who.civil, t.time(now.Add(-lifetime)), uuid.New(), who.uuid, t.time(now), who.username, who.fullName,
	})
}
