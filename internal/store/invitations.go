package store

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
)

// lapsed is the condition, with the cutoff twice as its arguments, that time has ended an invitation: the same
// as invitation.Invitation.StateAt. Only projects have a start date, which is looked up only for what is old: to join the
// scopes would look up that of every row.
const lapsed = "(" + endable + " AND invitations.created <= ? AND COALESCE((SELECT starting.start_date" +
	" FROM scopes AS starting WHERE starting.uuid = invitations.scope_uuid), invitations.created) <= ?)"

// endable is the condition of the index invitations_ending, to the letter, or SQLite would not know it again.
const endable = "invitations.state IN ('project', 'pending')"

// patterns are columns beside wholeColumns.
const patterns = ", scopes.user_email_patterns, customers.user_email_patterns"

// Find is one invitation with its role, scope, customer and creator.
func (tx *Tx) Find(id uuid.UUID) (invitation.Invitation, error) {
	return tx.one(tx.scanned("SELECT "+wholeColumns+" FROM invitations"+joined+" WHERE invitations.uuid = ?", []any{id}))
}

// FindWithPatterns is Find with the e-mail patterns of scope and customer.
func (tx *Tx) FindWithPatterns(id uuid.UUID) (invitation.Invitation, error) {
	return tx.patterned("SELECT "+wholeColumns+patterns+" FROM invitations"+joined+" WHERE invitations.uuid = ?", id)
}

// Lock is FindWithPatterns, and makes other transactions wait that would lock or change the same invitation.
func (tx *Tx) Lock(id uuid.UUID) (invitation.Invitation, error) {
	// The row is locked before it is joined: of one that has changed while this waited, PostgreSQL would join what it was.
	return tx.patterned("SELECT "+wholeColumns+patterns+" FROM (SELECT * FROM invitations WHERE invitations.uuid = ?"+
		tx.db.dialect.forUpdate()+") AS invitations"+joined, id)
}

func (tx *Tx) patterned(query string, id uuid.UUID) (invitation.Invitation, error) {
	var scope, customer []string
	found, err := tx.one(tx.scanned(query, []any{id}, list{&scope}, list{&customer}))
	if err == nil {
		found.Scope.UserEmailPatterns, found.Scope.Customer.UserEmailPatterns = scope, customer
	}
	return found, err
}

// FindOffer is Find for who asks whether an invitation is open and to whom.
func (tx *Tx) FindOffer(id uuid.UUID) (invitation.Invitation, error) {
	var (
		i        = invitation.Invitation{UUID: id}
		customer directory.Scope
	)
	err := tx.row("SELECT invitations.state, invitations.created, invitations.email, invitations.email_folded,"+
		" invitations.civil_number, invitations.link_uuid, scopes.start_date, scopes.is_removed, customers.is_removed"+
		" FROM invitations"+joinScope+joinCustomer+" WHERE invitations.uuid = ?", []any{id},
		(*string)(&i.StoredState), &i.Created, &i.Email, &i.EmailFolded,
		&i.CivilNumber, maybe{&i.LinkUUID}, &i.Scope.StartDate, &i.Scope.IsRemoved, &customer.IsRemoved)
	if errors.Is(err, sql.ErrNoRows) {
		return i, fault.NotFound()
	}
	i.Created, i.Scope.StartDate, i.Scope.Customer = i.Created.UTC(), utc(i.Scope.StartDate), &customer
	return i, err
}

func (tx *Tx) one(found []invitation.Invitation, err error) (invitation.Invitation, error) {
	switch {
	case err != nil:
		return invitation.Invitation{}, err
	case len(found) == 0:
		return invitation.Invitation{}, fault.NotFound()
	}
	return found[0], nil
}

// Linked is the uuid of the invitation whose link holds another one.
func (tx *Tx) Linked(link uuid.UUID) (uuid.UUID, error) {
	var found uuid.UUID
	err := tx.row("SELECT uuid FROM invitations WHERE link_uuid = ?", []any{link}, &found)
	if errors.Is(err, sql.ErrNoRows) {
		return found, fault.NotFound()
	}
	return found, err
}

// open is the condition of the index invitations_open, and openStates the same of a table that has a name.
const (
	open       = "state IN ('project', 'requested', 'pending')"
	openStates = "invitations." + open
)

// Open lists the invitations whose stored state is open for a scope and any of these pairs of e-mail and role, without
// what belongs to other tables.
func (tx *Tx) Open(scope uuid.UUID, pairs []invitation.Pair) ([]invitation.Invitation, error) {
	wanted := make([][]string, len(pairs))
	for i, each := range pairs {
		wanted[i] = []string{each.Email, each.Role.String()}
	}
	list, err := json.Marshal(wanted)
	if err != nil {
		return nil, err
	}
	var found []invitation.Invitation
	err = tx.model().Raw("SELECT uuid, state, created, email_folded, role_uuid FROM invitations WHERE "+openStates+
		" AND scope_uuid = ? AND (email_folded, role_uuid) IN ("+
		tx.db.dialect.among([]column{{"email_folded", "text"}, {"role_uuid", "uuid"}})+")", scope, string(list)).
		Find(&found).Error
	return found, tx.db.translate(err)
}

// Rival is the invitation whose stored state is open for an e-mail, role and scope.
func (tx *Tx) Rival(email string, role, scope uuid.UUID) (invitation.Invitation, error) {
	return tx.one(tx.scanned("SELECT "+wholeColumns+" FROM invitations"+joined+" WHERE invitations.email_folded = ?"+
		" AND invitations.role_uuid = ? AND invitations.scope_uuid = ? AND "+openStates, []any{email, role, scope}))
}

// Due lists the first up to limit invitations by creation, locked, for which this is due and that were created at or
// after from, without those that another transaction has locked.
func (tx *Tx) Due(what invitation.Due, cutoff, from time.Time, limit int) ([]invitation.Invitation, error) {
	var due conditions
	due.and("invitations.created >= ?", from)
	switch what {
	case invitation.DueExpiry:
		due.and(lapsed, cutoff, cutoff)
	case invitation.DueActivation:
		due.and("invitations.state = 'project' AND NOT "+lapsed, cutoff, cutoff)
		due.and("NOT EXISTS (SELECT 1 FROM scopes AS starting WHERE starting.uuid = invitations.scope_uuid"+
			" AND starting.start_date > ?)", tx.now)
	case invitation.DueReminder:
		soon := cutoff.Add(invitation.ReminderPeriod)
		due.and("invitations.state = 'pending' AND NOT invitations.reminded")
		due.and("NOT "+lapsed+" AND "+lapsed, cutoff, cutoff, soon, soon)
	}
	// Nothing is joined: PostgreSQL, which does not know how many are due when it plans, would read the whole directory for
	// each batch.
	return found(tx, fmt.Sprintf("SELECT invitations.uuid, invitations.state, invitations.created, invitations.delivery,"+
		" invitations.execution_state, invitations.error_message, invitations.reminded, invitations.email, invitations.created_by_uuid,"+
		" invitations.role_uuid, (SELECT roles.name FROM roles WHERE roles.uuid = invitations.role_uuid),"+
		" invitations.scope_uuid, (SELECT scopes.type FROM scopes WHERE scopes.uuid = invitations.scope_uuid)"+
		" FROM invitations%s ORDER BY invitations.created LIMIT %d%s", due.where(), limit, tx.db.dialect.forUpdateUnlocked()),
		due.arguments, func(scan scanFunc) (i invitation.Invitation, err error) {
			err = scan(uuidInto{&i.UUID}, (*string)(&i.StoredState), &i.Created, &i.Delivery,
				(*string)(&i.ExecutionState), &i.ErrorMessage, &i.Reminded, &i.Email, maybe{&i.CreatedByUUID},
				uuidInto{&i.RoleUUID}, &i.Role.Name, uuidInto{&i.ScopeUUID}, (*string)(&i.Scope.Type))
			i.Created = i.Created.UTC()
			return i, err
		})
}

// Insert writes a new invitation and its first event; invitation.ErrTwice where another is open.
func (tx *Tx) Insert(i invitation.Invitation, e invitation.Event) error {
	return tx.noted(e, write{
		text: "INSERT INTO invitations (uuid, state, created, delivery, execution_state, error_message, reminded," +
			" role_uuid, scope_uuid, customer_uuid, created_by_uuid, email, email_folded, full_name, native_name, phone_number," +
			" organization, job_title, civil_number, extra_invitation_text, link_uuid)" +
			" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)" +
			" ON CONFLICT (email_folded, role_uuid, scope_uuid) WHERE " + open + " DO NOTHING",
		arguments: []any{
			i.UUID, i.StoredState, i.Created, i.Delivery, i.ExecutionState, i.ErrorMessage, i.Reminded,
			i.RoleUUID, i.ScopeUUID, i.CustomerUUID, i.CreatedByUUID, i.Email, i.EmailFolded, i.FullName, i.NativeName, i.PhoneNumber,
			i.Organization, i.JobTitle, i.CivilNumber, i.ExtraInvitationText, i.LinkUUID,
		},
		unchanged: invitation.ErrTwice,
	}, nil)
}

// Replace writes what can change of an invitation over the row that is still as old is, and the event of it;
// invitation.ErrChanged where there is none, invitation.ErrTwice where another is open.
func (tx *Tx) Replace(old, changed invitation.Invitation, e invitation.Event) error {
	w := replacing(old, changed)
	w.index, w.twice = "invitations_open", invitation.ErrTwice
	return tx.noted(e, w, nil)
}

// Admit is Replace by one who accepts, and makes them a member; invitation.ErrHeld where they are, or the row of an earlier
// membership says so: see Retire.
func (tx *Tx) Admit(old, accepted invitation.Invitation, e invitation.Event, m directory.Membership) error {
	tx.db.forget(tx.ctx)
	w := replacing(old, accepted)
	w.unadded = invitation.ErrHeld
	return tx.noted(e, w, &row{
		table:   "memberships",
		columns: "uuid, user_uuid, role_uuid, scope_uuid, created_by_uuid, created, expires",
		values:  []any{m.UUID, m.UserUUID, m.RoleUUID, m.ScopeUUID, m.CreatedByUUID, m.Created, m.Expires},
		unless:  "ON CONFLICT (user_uuid, role_uuid, scope_uuid) WHERE revoked IS NULL DO NOTHING",
	})
}

// replacing writes what has changed of an invitation and nothing else: SQLite writes the indexes anew of all columns that are
// named.
func replacing(old, changed invitation.Invitation) write {
	w := write{unchanged: invitation.ErrChanged}
	set := func(column string, differs bool, value any) {
		if differs {
			w.text += ", " + column + " = ?"
			w.arguments = append(w.arguments, value)
		}
	}
	set("state", old.StoredState != changed.StoredState, changed.StoredState)
	set("created", !old.Created.Equal(changed.Created), changed.Created)
	set("delivery", old.Delivery != changed.Delivery, changed.Delivery)
	set("execution_state", old.ExecutionState != changed.ExecutionState, changed.ExecutionState)
	set("error_message", old.ErrorMessage != changed.ErrorMessage, changed.ErrorMessage)
	set("reminded", old.Reminded != changed.Reminded, changed.Reminded)
	set("email", old.Email != changed.Email, changed.Email)
	set("email_folded", old.EmailFolded != changed.EmailFolded, changed.EmailFolded)
	set("link_uuid", old.LinkUUID != changed.LinkUUID, changed.LinkUUID)
	set("role_uuid", old.RoleUUID != changed.RoleUUID, changed.RoleUUID)
	if w.text == "" {
		set("state", true, changed.StoredState)
	}
	w.text = "UPDATE invitations SET " + w.text[len(", "):] + " WHERE " + asItWas
	w.arguments = append(w.arguments, as(old)...)
	return w
}

// asItWas is the condition that a row is still as an invitation is, in all that can change. Its link changes with its
// delivery.
const asItWas = "uuid = ? AND state = ? AND created = ? AND delivery = ? AND execution_state = ? AND error_message = ?" +
	" AND reminded = ? AND email = ? AND role_uuid = ? AND created_by_uuid IS NOT DISTINCT FROM ?"

// as are the arguments of asItWas.
func as(i invitation.Invitation) []any {
	return []any{
		i.UUID, i.StoredState, i.Created, i.Delivery, i.ExecutionState, i.ErrorMessage, i.Reminded, i.Email, i.RoleUUID,
		i.CreatedByUUID,
	}
}

// passing are what ReplaceAll is told of an invitation.
var passing = []column{
	{"uuid", "uuid"}, {"was", "text"}, {"delivery", "integer"}, {"execution_state", "text"}, {"state", "text"}, {"reminded", "boolean"},
}

// ReplaceAll writes what time changes of invitations over the rows that are still in old's states, and their events;
// invitation.ErrChanged where one is not. After it the transaction must lock nothing more.
func (tx *Tx) ReplaceAll(changes []invitation.Change) error {
	rows := make([][]any, len(changes))
	events := make([]invitation.Event, len(changes))
	for i, each := range changes {
		old, changed := each.Old, each.Changed
		rows[i] = []any{
			old.UUID, old.StoredState, old.Delivery, old.ExecutionState, changed.StoredState, changed.Reminded,
		}
		events[i] = each.Event
	}
	list, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	if batching := tx.db.dialect.batching(); batching != "" {
		if err := tx.write(write{text: batching}); err != nil {
			return err
		}
	}
	// No other columns are named: SQLite writes the indexes anew of all that are, whether or not they change.
	written, err := tx.exec("WITH wanted ("+names(passing)+") AS ("+tx.db.dialect.among(passing)+")"+
		" UPDATE invitations SET state = wanted.state, reminded = wanted.reminded FROM wanted"+
		" WHERE invitations.uuid = wanted.uuid AND invitations.state = wanted.was"+
		" AND invitations.delivery = wanted.delivery AND invitations.execution_state = wanted.execution_state", string(list))
	if err != nil {
		return err
	}
	if written != int64(len(changes)) {
		return invitation.ErrChanged
	}
	return tx.recordAll(events)
}

// Mark writes how the present delivery of an invitation goes.
func (tx *Tx) Mark(old invitation.Invitation, to invitation.ExecutionState) error {
	return tx.write(write{
		text:      "UPDATE invitations SET execution_state = ? WHERE " + asItWas,
		arguments: append([]any{to}, as(old)...),
	})
}

// Delete removes an invitation for good, and writes its last event; nothing where it is gone.
func (tx *Tx) Delete(id uuid.UUID, e invitation.Event) error {
	return tx.noted(e, write{text: "DELETE FROM invitations WHERE uuid = ?", arguments: []any{id}}, nil)
}

// List is a page of the invitations that a query shows, and how many it shows in all; a page past the end does not say
// how many.
func (tx *Tx) List(q invitation.Query) ([]invitation.Invitation, int, error) {
	l := tx.listing(q)
	query, arguments := l.page(q.Window)
	if onlyStates(q, l) {
		total, counted := kept(q)
		query, arguments = l.pageOf(q.Window, total, counted)
	}
	var count int
	rows, err := tx.scanned(query, arguments, &count)
	return rows, count, err
}

// Count is how many invitations a query shows.
func (tx *Tx) Count(q invitation.Query) (int, error) {
	l := tx.listing(q)
	if onlyStates(q, l) {
		return tx.number(kept(q))
	}
	return tx.counted(l)
}

// listing is what a query shows: what is visible, and what the caller asks for.
func (tx *Tx) listing(q invitation.Query) listing {
	l := listing{table: "invitations", joins: wholeJoins, columns: wholeColumns, order: invitationOrder(q)}
	tx.visible(&l.shown, q)
	tx.filtered(&l.shown, q)
	return l
}

// onlyStates tells whether a query is of somebody who sees all, and asks for nothing but states, which are one condition.
func onlyStates(q invitation.Query, l listing) bool {
	return q.Visible.All && len(l.shown.texts) == min(1, len(q.States))
}

// kept is a query for how many invitations there are in the states of a query, from what was counted as the rows were
// written: it takes as long for a million as for ten. What time has ended since is counted now, and is no more than a
// sweep has left.
func kept(q invitation.Query) (string, []any) {
	states := q.States
	if len(states) == 0 {
		states = invitation.States
	}
	var names []string
	for _, each := range invitation.States {
		if slices.Contains(states, each) {
			names = append(names, string(each))
		}
	}
	text := "(SELECT CAST(SUM(" + strings.Join(names, " + ") + ") AS bigint) FROM invitation_counts)"
	var arguments []any
	for _, each := range []invitation.State{invitation.Pending, invitation.Project} {
		if was, is := slices.Contains(states, each), slices.Contains(states, invitation.Expired); was != is {
			sign := " + "
			if was {
				sign = " - "
			}
			text += sign + "(SELECT count(*) FROM invitations WHERE " + lapsed + " AND invitations.state = '" + string(each) + "')"
			arguments = append(arguments, q.Cutoff, q.Cutoff)
		}
	}
	return "SELECT " + text, arguments
}

// visible narrows a query to what a visibility shows: the same as invitation.Invitation.visibleTo.
func (tx *Tx) visible(to *conditions, q invitation.Query) {
	v := q.Visible
	if v.All {
		return
	}
	var any conditions
	tx.within(&any, v.ScopeSet, "invitations.scope_uuid", "invitations.customer_uuid")
	if v.Email != "" {
		any.and("(invitations.email_folded = ? AND "+endable+" AND NOT "+lapsed+")",
			v.Email, q.Cutoff, q.Cutoff)
	}
	to.and(any.either(), any.arguments...)
}

// filtered narrows a query to what the caller asks for.
func (tx *Tx) filtered(to *conditions, q invitation.Query) {
	if q.Scope != nil {
		to.and("invitations.scope_uuid = ? AND scopes.type = ?", q.Scope.UUID, q.Scope.Type)
	}
	to.equal("invitations.civil_number", q.CivilNumber)
	to.equal("invitations.email_folded", directory.Fold(q.EmailExact))
	to.equal("roles.name", q.RoleName)
	to.equal("scopes.type", q.ScopeType)
	to.contains(q.Email, "invitations.email_folded")
	to.contains(q.ScopeName, "scopes.name_folded")
	to.contains(q.ScopeDescription, "scopes.description_folded")
	to.is("invitations.customer_uuid", q.Customer)
	to.is("invitations.role_uuid", q.Role)
	if len(q.States) > 0 {
		inStates(to, q)
	}
}

// inStates narrows a query to invitations that are in one of the states now.
func inStates(to *conditions, q invitation.Query) {
	names := make([]string, len(q.States))
	for i, each := range q.States {
		names[i] = "'" + string(each) + "'" // of the contract's, which are few: each has a plan of its own
	}
	condition, arguments := "invitations.state IN ("+strings.Join(names, ", ")+")", []any{}
	if slices.Contains(q.States, invitation.Pending) || slices.Contains(q.States, invitation.Project) {
		condition, arguments = "("+condition+" AND NOT "+lapsed+")", append(arguments, q.Cutoff, q.Cutoff)
	}
	if slices.Contains(q.States, invitation.Expired) {
		condition, arguments = "("+condition+" OR "+lapsed+")", append(arguments, q.Cutoff, q.Cutoff)
	}
	to.and(condition, arguments...)
}

// invitationOrder is the order that a query asks for.
func invitationOrder(q invitation.Query) ordering {
	return ordered(q.Order, directory.Order{By: invitation.ByCreated, Descending: true}, map[directory.OrderBy]key{
		invitation.ByCreated: by("invitations.created"),
		invitation.ByCreatedBy: by(
			"CASE WHEN creators.full_name <> '' THEN creators.full_name ELSE COALESCE(creators.username, '') END"),
		invitation.ByEmail: by("invitations.email_folded"),
		invitation.ByState: by("CASE WHEN "+lapsed+" THEN 'expired' ELSE invitations.state END", q.Cutoff, q.Cutoff),
	})
}
