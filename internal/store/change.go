package store

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"invited/internal/database"
	"invited/internal/directory"
	"invited/internal/invitation"
)

// save writes changes in their order: the rows first, then all events and all jobs, each in one statement. It returns
// invitation.ErrConflict, ErrDuplicate or ErrAlreadyMember where a row stands in the way.
func (tx *Tx) save(changes []invitation.Change) error {
	if err := tx.saveRows(changes); err != nil {
		return err
	}
	tx.counts.add(changes)
	var events []invitation.Event
	var jobs []invitation.Job
	requestID := invitation.RequestID(tx.db.Statement.Context)
	for _, c := range changes {
		if c.Event != nil {
			event := *c.Event
			event.Created, event.RequestID = tx.now, requestID
			events = append(events, event)
		}
		jobs = append(jobs, c.Jobs...)
	}
	if err := tx.record(events); err != nil {
		return err
	}
	if err := tx.expectNotices(jobs); err != nil {
		return err
	}
	return tx.enqueue(jobs)
}

// record writes events in one statement.
func (tx *Tx) record(events []invitation.Event) error {
	switch len(events) {
	case 0:
		return nil
	case 1:
		return tx.db.Create(&events[0]).Error
	}
	return insertAll(tx, events, "").Error
}

// columnTypes are the types on PostgreSQL of the fields that insertAll writes, beside texts.
var columnTypes = map[reflect.Type]string{
	reflect.TypeFor[uuid.UUID](): "uuid",
	reflect.TypeFor[time.Time](): "timestamptz",
	reflect.TypeFor[bool]():      "boolean",
	reflect.TypeFor[int]():       "integer",
}

// insertAll writes rows of a model in one statement, without what they refer to. The rows are one argument: as many arguments
// as there are values would be another statement for each number of rows, and 16 MiB of them in the cache of one connection.
func insertAll[Row any](tx *Tx, rows []Row, onConflict string) *gorm.DB {
	statement := &gorm.Statement{DB: tx.db}
	if err := statement.Parse(new(Row)); err != nil {
		return &gorm.DB{Error: err}
	}
	var names, types []string
	values := make([][]any, len(rows))
	for _, field := range statement.Schema.Fields {
		if field.DBName == "" || !field.Creatable {
			continue
		}
		kind, known := columnTypes[field.IndirectFieldType]
		switch {
		case known:
		case field.IndirectFieldType.Kind() == reflect.String:
			kind = "text"
		default:
			return &gorm.DB{Error: fmt.Errorf("store: no type is known for the column %s", field.DBName)}
		}
		names, types = append(names, field.DBName), append(types, kind)
		for i := range rows {
			value, _ := field.ValueOf(tx.db.Statement.Context, reflect.ValueOf(&rows[i]).Elem())
			switch at := value.(type) {
			case time.Time:
				value = at.UTC().Format(database.TimeFormat)
			case *time.Time:
				if at != nil {
					value = at.UTC().Format(database.TimeFormat)
				}
			}
			values[i] = append(values[i], value)
		}
	}
	list, err := json.Marshal(values)
	if err != nil {
		return &gorm.DB{Error: err}
	}
	// Without WHERE, SQLite takes the ON of ON CONFLICT for that of a join.
	return tx.db.Exec(fmt.Sprintf("INSERT INTO %s (%s) ? WHERE TRUE %s", statement.Schema.Table, strings.Join(names, ", "), onConflict),
		tx.engine.List(list, types...))
}

// rowsPerStatement is the number of rows that one statement writes. No table has more than 25 columns, and SQLite takes
// 32,766 arguments.
const rowsPerStatement = 1_000

func (tx *Tx) saveRows(changes []invitation.Change) error {
	if len(changes) > 1 && tx.onlySweepChanges(changes) {
		return tx.updateSwept(changes)
	}
	var creations []invitation.Invitation
	for _, c := range changes {
		if len(changes) > 1 && c.Before == nil && c.After != nil && c.User == nil && c.Member == nil && c.Mail == nil && len(c.DoneNotices) == 0 {
			creations = append(creations, *c.After)
			continue
		}
		if err := tx.saveRow(c); err != nil {
			return err
		}
	}
	return tx.insertMany(creations)
}

// invitationRow is the row of a new invitation.
type invitationRow struct {
	invitation.Invitation            `gorm:"embedded"`
	FullNameFolded, NativeNameFolded string // names do not change afterwards
}

func (invitationRow) TableName() string { return "invitations" }

func newInvitationRow(i invitation.Invitation) invitationRow {
	return invitationRow{i, directory.Fold(i.FullName), directory.Fold(i.NativeName)}
}

// insertMany writes new invitations in one statement, after all other rows: an invitation may take the place of one that another
// change ends. It returns invitation.ErrDuplicate where one of them has a duplicate.
func (tx *Tx) insertMany(made []invitation.Invitation) error {
	switch len(made) {
	case 0:
		return nil
	case 1:
		return tx.insert(made[0])
	}
	// Two transactions that insert the same keys in different orders would wait for each other.
	slices.SortFunc(made, func(a, b invitation.Invitation) int {
		return cmp.Or(strings.Compare(a.EmailFolded, b.EmailFolded),
			bytes.Compare(a.RoleUUID[:], b.RoleUUID[:]), bytes.Compare(a.ScopeUUID[:], b.ScopeUUID[:]))
	})
	rows := make([]invitationRow, len(made))
	for i, each := range made {
		rows[i] = newInvitationRow(each)
	}
	result := insertAll(tx, rows, "ON CONFLICT (email_folded, role_uuid, scope_uuid) WHERE "+isOpen+" DO NOTHING")
	if result.Error == nil && result.RowsAffected != int64(len(made)) {
		return invitation.ErrDuplicate
	}
	return result.Error
}

func (tx *Tx) saveRow(c invitation.Change) error {
	var err error
	switch {
	case c.Before == nil && c.After != nil:
		err = tx.insert(*c.After)
	case c.Before != nil && c.After != nil:
		err = affectsOne(tx.unchanged(*c.Before).Updates(updates(*c.Before, *c.After)))
	case c.Before != nil:
		err = affectsOne(tx.unchanged(*c.Before).Delete(&invitation.Invitation{}))
	}
	if err == nil && c.User != nil {
		// The address may be the username of somebody else, who is left alone.
		err = tx.db.Clauses(clause.OnConflict{DoNothing: true}).Create(c.User).Error
	}
	if err == nil && c.Member != nil {
		err = tx.insertMember(*c.Member)
	}
	if err == nil && c.Mail != nil {
		err = tx.beginRequestMail(*c.Mail)
	}
	if err == nil {
		err = tx.forgetNotices(c.DoneNotices)
	}
	return err
}

// insert writes a new invitation. The conflict is asked for rather than caught, because on PostgreSQL an error ends the
// transaction and writes the address into the server's log.
func (tx *Tx) insert(i invitation.Invitation) error {
	row := newInvitationRow(i)
	result := tx.db.Omit(clause.Associations).Clauses(clause.OnConflict{
		Columns:     []clause.Column{{Name: "email_folded"}, {Name: "role_uuid"}, {Name: "scope_uuid"}},
		TargetWhere: clause.Where{Exprs: []clause.Expression{clause.Expr{SQL: isOpen}}},
		DoNothing:   true,
	}).Create(&row)
	if result.Error == nil && result.RowsAffected == 0 {
		return invitation.ErrDuplicate
	}
	return result.Error
}

// columns returns what can change of an invitation, by column. email_folded is left out: it changes only with email.
func columns(i invitation.Invitation) map[string]any {
	return map[string]any{
		"state": i.StoredState, "created": i.Created, "delivery": i.Delivery, "execution_state": i.ExecutionState,
		"error_message": i.ErrorMessage, "reminded": i.Reminded, "inviter_notified": i.InviterNotified, "email": i.Email, "link_uuid": i.LinkUUID,
		"role_uuid": i.RoleUUID, "created_by_uuid": i.CreatedByUUID, "offered_by_uuid": i.OfferedByUUID,
		"declined_at": i.DeclinedAt, "decline_reason": i.DeclineReason, "renewal_asked_at": i.RenewalAskedAt,
		"expires_at": i.ExpiresAt, "membership_expires": i.MembershipExpires,
	}
}

// unchanged is the query for the row of an invitation, if the row is still what the invitation says.
func (tx *Tx) unchanged(i invitation.Invitation) *gorm.DB {
	return tx.db.Model(&invitation.Invitation{}).Where("uuid = ?", i.UUID).Where(columns(i))
}

// affectsOne returns the error of a statement that has to write one row.
func affectsOne(result *gorm.DB) error {
	switch {
	case errors.Is(result.Error, gorm.ErrDuplicatedKey): // the index invitations_open
		return invitation.ErrDuplicate
	case result.Error != nil:
		return result.Error
	case result.RowsAffected == 0:
		return invitation.ErrConflict
	}
	return nil
}

// updates returns the columns that change and nothing else: SQLite rewrites the indexes of every column that is named.
func updates(before, after invitation.Invitation) map[string]any {
	was, set := columns(before), columns(after)
	maps.DeleteFunc(set, func(column string, value any) bool { return value == was[column] })
	if before.EmailFolded != after.EmailFolded {
		set["email_folded"] = after.EmailFolded
	}
	if !before.Created.Equal(after.Created) {
		set["first_created"] = gorm.Expr(firstCreated) // as the row was
	}
	if len(set) == 0 {
		set["delivery"] = after.Delivery // GORM writes no empty update, and the guard has to be asked
	}
	return set
}

// insertMember writes a membership. The row of an expired membership that is not revoked stands in the way of another
// one, and is revoked first.
func (tx *Tx) insertMember(m directory.Membership) error {
	for range 2 {
		result := tx.db.Clauses(clause.OnConflict{
			Columns:     []clause.Column{{Name: "user_uuid"}, {Name: "role_uuid"}, {Name: "scope_uuid"}},
			TargetWhere: clause.Where{Exprs: []clause.Expression{clause.Expr{SQL: "revoked IS NULL"}}},
			DoNothing:   true,
		}).Create(&m)
		if result.Error != nil || result.RowsAffected == 1 {
			return result.Error
		}
		expired := tx.db.Model(&directory.Membership{}).
			Where("user_uuid = ? AND role_uuid = ? AND scope_uuid = ?", m.UserUUID, m.RoleUUID, m.ScopeUUID).
			Where("revoked IS NULL AND expires <= ?", tx.now).
			Update("revoked", tx.now)
		if expired.Error != nil {
			return expired.Error
		}
	}
	return invitation.ErrAlreadyMember
}

// onlySweepChanges reports whether each change is of another invitation and changes only what a sweep changes.
func (tx *Tx) onlySweepChanges(changes []invitation.Change) bool {
	seen := make(map[uuid.UUID]bool, len(changes))
	for _, c := range changes {
		if c.Before == nil || c.After == nil || c.Member != nil || c.User != nil || seen[c.Before.UUID] {
			return false
		}
		seen[c.Before.UUID] = true
		for column := range updates(*c.Before, *c.After) {
			startsNow := (column == "created" || column == "first_created") && c.After.Created.Equal(tx.now)
			if column != "state" && column != "reminded" && !startsNow {
				return false
			}
		}
	}
	return true
}

// updateSwept writes what a sweep changes of many invitations. This is SQL text, because GORM has no UPDATE with
// another value for each row: one statement for 75 rows takes a quarter of the time of 75 statements. The rows are
// locked already (LockDue), so that fewer columns are compared than unchanged compares.
func (tx *Tx) updateSwept(changes []invitation.Change) error {
	rows := make([][]any, len(changes))
	for i, c := range changes {
		rows[i] = []any{
			c.Before.UUID, c.Before.StoredState, c.Before.Delivery, c.Before.ExecutionState, c.After.StoredState, c.After.Reminded,
			!c.After.Created.Equal(c.Before.Created),
		}
	}
	list, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	result := tx.db.Exec("WITH listed (uuid, was, delivery, execution_state, state, reminded, starts) AS (?)"+
		" UPDATE invitations SET state = listed.state, reminded = listed.reminded,"+
		" created = CASE WHEN listed.starts THEN ? ELSE invitations.created END,"+
		" first_created = CASE WHEN listed.starts THEN "+firstCreated+" ELSE invitations.first_created END FROM listed"+
		" WHERE invitations.uuid = listed.uuid AND invitations.state = listed.was"+
		" AND invitations.delivery = listed.delivery AND invitations.execution_state = listed.execution_state",
		tx.engine.List(list,
			"uuid", "text",
			"integer", "text",
			"text", "boolean",
			"boolean"), tx.now)
	switch {
	case result.Error != nil:
		return result.Error
	case result.RowsAffected != int64(len(changes)):
		return invitation.ErrConflict
	}
	return nil
}
