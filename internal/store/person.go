package store

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"invited/internal/directory"
	"invited/internal/identity"
	"invited/internal/invitation"
	"invited/internal/joining"
	"invited/internal/person"
)

// Persons returns the store as package person needs it.
func (s *Store) Persons() person.Store { return personStore{s} }

type personStore struct{ *Store }

const (
	// exportRows is the number of rows of an export that are in memory at once.
	exportRows = 500
	// eraseRows is the number of rows that one transaction changes. On SQLite everybody who writes waits for it.
	eraseRows = 200
	// erasePause leaves room for others between two transactions that erase, as a sweep does.
	erasePause = 3 * time.Millisecond
)

// changeAndPause is change, with erasePause after it.
func (s personStore) changeAndPause(ctx context.Context, f func(*Tx) error) error {
	err := s.change(ctx, f)
	if err == nil {
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-time.After(erasePause):
		}
	}
	return err
}

// Users implements person.Store.
func (s personStore) Users(ctx context.Context, email string) (found []directory.User, err error) {
	err = s.read(ctx, func(tx *Tx) error { return tx.db.Order("uuid").Find(&found, "email_folded = ?", email).Error })
	return found, err
}

// Tables implements person.Store.
func (s personStore) Tables() []string {
	var names []string
	for _, t := range personTables {
		if len(t.key) > 0 {
			names = append(names, t.name)
		}
	}
	return names
}

// asText returns a value of a row as text; nil is empty.
func asText(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		return fmt.Sprint(v)
	}
}

// plainValue returns a value that a driver has scanned in the form in which a Row has it.
func plainValue(value any) any {
	switch v := value.(type) {
	case []byte:
		return string(v)
	case [16]byte:
		return uuid.UUID(v).String()
	case time.Time:
		return v.UTC()
	default:
		return v
	}
}

// where returns the condition for the rows that may be about a person, or have the address in a text. isMade: or that one of the
// person's users made. It lets through more rows than those: shown and without decide. The texts of a row are searched as one,
// which takes SQLite less than half of the time.
func (t personTable) where(p person.Person, isMade, isPostgres bool) (condition string, args []any) {
	var alternatives, texts []string
	users := p.UserUUIDs()
	for _, name := range slices.Sorted(maps.Keys(t.columns)) {
		switch t.columns[name].kind {
		case ofUser, byUser:
			if len(users) > 0 && (isMade || t.columns[name].kind == ofUser) {
				alternatives, args = append(alternatives, name+" IN ?"), append(args, users)
			}
		case anAddress, aUsername, aName, aDetail, freeText, bulkContent, queueFailure:
			texts = append(texts, name)
		default: // is not searched
		}
	}
	for _, expression := range t.virtual {
		if len(users) > 0 {
			alternatives, args = append(alternatives, expression+" IN ?"), append(args, users)
		}
	}
	if len(texts) > 0 {
		text := "concat_ws(' ', " + strings.Join(texts, ", ") + ")" // SQLite compares words of ASCII without case
		if isPostgres {
			text = "lower(" + text + ")"
		}
		var words []string
		for _, needle := range p.Address.Needles() {
			words, args = append(words, text+" LIKE ?"), append(args, "%"+needle+"%")
		}
		alternatives = append(alternatives, "("+strings.Join(words, " AND ")+")")
	}
	if len(alternatives) == 0 {
		return "FALSE", nil
	}
	return "(" + strings.Join(alternatives, " OR ") + ")", args
}

// selected returns what is read of a row.
func (t personTable) selected() (names []string, expressions string) {
	names = slices.Sorted(maps.Keys(t.columns))
	all := slices.Clone(names)
	for name, expression := range t.virtual {
		names, all = append(names, name), append(all, expression+" AS "+name)
	}
	if t.invitee != "" {
		names, all = append(names, inviteeName), append(all, t.invitee+" AS "+inviteeName)
	}
	return names, strings.Join(all, ", ")
}

// scanRow reads the columns of one row.
func scanRow(scan scanFunc, names []string) (person.Row, error) {
	values, into := make([]any, len(names)), make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	err := scan(into...)
	row := person.Row{}
	for i, name := range names {
		row[name] = plainValue(values[i])
	}
	return row, err
}

// keyOf returns the values of the primary key.
func (t personTable) keyOf(row person.Row) []any {
	key := make([]any, len(t.key))
	for i, name := range t.key {
		key[i] = row[name]
	}
	return key
}

// each calls f with the rows that where finds, limit at a time, as they are read: the table is read once, in one statement. In
// pages, PostgreSQL reads the whole table for each page: 40,000 rows of 300,000 took six minutes.
func (s personStore) each(ctx context.Context, t personTable, p person.Person, isMade bool, limit int, f func([]person.Row) error) error {
	names, selected := t.selected()
	condition, args := t.where(p, isMade, s.IsPostgres())
	if condition == "FALSE" {
		return nil
	}
	return s.read(ctx, func(tx *Tx) error {
		query := tx.db.Table(t.name).Select(selected).Where(condition, args...)
		if t.keyTypes[0] == "bigint" { // as they were written
			query = query.Order(t.key[0])
		}
		found, err := query.Rows()
		if err != nil {
			return err
		}
		defer func() { _ = found.Close() }()
		rows := make([]person.Row, 0, limit)
		for found.Next() {
			row, err := scanRow(found.Scan, names)
			if err != nil {
				return query.AddError(err)
			}
			if rows = append(rows, row); len(rows) < limit {
				continue
			}
			if err := f(rows); err != nil {
				return err
			}
			rows = rows[:0]
		}
		if err := found.Err(); err != nil {
			return query.AddError(err)
		}
		return f(rows)
	})
}

// ExportTable implements person.Store.
func (s personStore) ExportTable(ctx context.Context, p person.Person, table string, f func(person.Row) error) error {
	t := findPersonTable(table)
	return s.each(ctx, t, p, true, exportRows, func(rows []person.Row) error {
		for _, row := range rows {
			if shown := t.shown(p, row); shown != nil {
				if err := f(shown); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// EraseTable implements person.Store. What is found is read again with the rows locked.
func (s personStore) EraseTable(ctx context.Context, p person.Person, table string) (changed int, err error) {
	t := findPersonTable(table)
	err = s.each(ctx, t, p, false, eraseRows, func(found []person.Row) error {
		keys := make([][]any, 0, len(found))
		for _, row := range found {
			if changes, isDropped := t.without(p, row); t.isLeft(p, row) || (len(changes) == 0 && !isDropped && t.name != "river_job") {
				continue
			}
			keys = append(keys, t.keyOf(row))
		}
		if len(keys) == 0 {
			return nil
		}
		n := 0
		err := s.changeAndPause(ctx, func(tx *Tx) (err error) {
			n, err = tx.eraseRows(t, p, keys)
			return err
		})
		changed += n
		return err
	})
	return changed, err
}

// isLeft reports whether EraseTable leaves a row alone: EraseInvitations and EraseUser write it.
func (t personTable) isLeft(p person.Person, row person.Row) bool {
	_, isUser := p.User(asText(row["uuid"]))
	return (t.name == "users" && isUser) || (t.name == "invitations" && p.Address.Is(asText(row["email"])))
}

// eraseRows erases a person from the rows with the keys, and returns how many rows it has changed.
func (tx *Tx) eraseRows(t personTable, p person.Person, keys [][]any) (int, error) {
	list, err := json.Marshal(keys)
	if err != nil {
		return 0, err
	}
	hasKey := fmt.Sprintf("(%s) IN (?)", strings.Join(t.key, ", "))
	if t.name == "bulk_invitation_rows" { // a job that has read its rows is waited for
		bulks := make([]uuid.UUID, len(keys))
		for i, key := range keys {
			if bulks[i], err = uuid.Parse(asText(key[0])); err != nil {
				return 0, err
			}
		}
		for _, id := range distinct(bulks, func(id uuid.UUID) uuid.UUID { return id }) {
			if _, err := tx.LockBulk(id); err != nil {
				return 0, err
			}
		}
	}
	names, selected := t.selected()
	rows, err := collect(tx.db.Table(t.name).Select(selected).Where(hasKey, tx.engine.List(list, t.keyTypes...)).
		Clauses(clause.Locking{Strength: "UPDATE", Table: clause.Table{Name: t.name}}),
		func(scan scanFunc) (person.Row, error) { return scanRow(scan, names) })
	if err != nil {
		return 0, err
	}
	var dropped [][]any
	var updated []person.Row
	columns := map[string]bool{}
	for _, row := range rows {
		changes, isDropped := t.without(p, row)
		switch {
		case t.isLeft(p, row):
		case isDropped:
			dropped = append(dropped, t.keyOf(row))
		case t.name == "river_job" && p.Address.Has(asText(row["errors"])):
			row["errors"] = nil
			updated, columns["errors"] = append(updated, row), true
		case len(changes) > 0:
			for name, value := range changes {
				row[name], columns[name] = value, true
			}
			updated = append(updated, row)
		}
	}
	if len(dropped) > 0 {
		list, err := json.Marshal(dropped)
		if err != nil {
			return 0, err
		}
		if err := tx.db.Exec("DELETE FROM "+t.name+" WHERE "+hasKey, tx.engine.List(list, t.keyTypes...)).Error; err != nil {
			return 0, err
		}
	}
	if len(updated) > 0 {
		if err := tx.updateRows(t, updated, slices.Sorted(maps.Keys(columns))); err != nil {
			return 0, err
		}
	}
	return len(dropped) + len(updated), nil
}

// updateRows writes columns of rows in one statement, by their keys. The columns have texts.
func (tx *Tx) updateRows(t personTable, rows []person.Row, columns []string) error {
	if t.name == "river_job" {
		ids := make([]int64, len(rows))
		for i, row := range rows {
			ids[i], _ = row["id"].(int64)
		}
		return tx.db.Exec("UPDATE river_job SET errors = NULL WHERE id IN (?)", tx.numbers(ids)).Error
	}
	values := make([][]any, len(rows))
	types := slices.Clone(t.keyTypes)
	for i, row := range rows {
		values[i] = t.keyOf(row)
		for _, name := range columns {
			values[i] = append(values[i], row[name])
		}
	}
	var assignments, matches, listed []string
	for i, name := range t.key {
		listed = append(listed, fmt.Sprintf("key%d", i))
		matches = append(matches, fmt.Sprintf("%s.%s = listed.key%d", t.name, name, i))
	}
	for i, name := range columns {
		listed, types = append(listed, fmt.Sprintf("value%d", i)), append(types, "text")
		assignments = append(assignments, fmt.Sprintf("%s = listed.value%d", name, i))
	}
	if t.version != "" {
		assignments = append(assignments, fmt.Sprintf("%s = %s.%s + 1", t.version, t.name, t.version))
	}
	list, err := json.Marshal(values)
	if err != nil {
		return err
	}
	return tx.db.Exec(fmt.Sprintf("WITH listed (%s) AS (?) UPDATE %s SET %s FROM listed WHERE %s", strings.Join(listed, ", "), t.name,
		strings.Join(assignments, ", "), strings.Join(matches, " AND ")), tx.engine.List(list, types...)).Error
}

// EraseInvitations implements person.Store.
func (s personStore) EraseInvitations(
	ctx context.Context, p person.Person, limit int, decide func(invitation.Invitation, time.Time) []invitation.Change,
) (erased, open int, err error) {
	err = s.changeAndPause(ctx, func(tx *Tx) error {
		erased, open = 0, 0
		rows := tx.db.Table("invitations").Where("email_folded = ?", p.Address.Folded).Order("created DESC, uuid").Limit(limit).
			Clauses(clause.Locking{Strength: "UPDATE"})
		found, err := collect(tx.db.Table("(?) AS invitations", rows).Select(invitationColumns).Joins(invitationJoins),
			func(scan scanFunc) (invitation.Invitation, error) { return scanInvitation(scan) })
		if err != nil || len(found) == 0 {
			return err
		}
		var changes []invitation.Change
		ids := make([]uuid.UUID, len(found))
		for i, each := range found {
			ids[i] = each.UUID
			decided := decide(each, tx.now)
			changes = append(changes, decided...)
			if len(decided) > 0 && decided[0].Before.StoredState != decided[0].After.StoredState {
				open++
			}
		}
		if err := tx.save(changes); err != nil {
			return err
		}
		erased = len(found)
		if err := tx.db.Table("invitations").Where(tx.engine.In("uuid", ids)).Updates(invitationDetails()).Error; err != nil {
			return err
		}
		return tx.db.Table("invitation_events").Where(tx.engine.In("invitation_uuid", ids)).
			Where("event_type = ? AND reason <> ''", invitation.EventDeclined).Update("reason", "").Error
	})
	return erased, open, err
}

// EndRequests implements person.Store.
func (s personStore) EndRequests(
	ctx context.Context, user uuid.UUID, decide func(joining.Request) (joining.Change, bool),
) (ended int, err error) {
	err = s.change(ctx, func(tx *Tx) error {
		ended = 0
		var ids []uuid.UUID
		err := tx.db.Model(&joining.Request{}).Where("created_by_uuid = ?", user).
			Where("state IN ?", []joining.State{joining.Draft, joining.Pending}).Pluck("uuid", &ids).Error
		for _, id := range ids {
			if err != nil {
				return err
			}
			var found joining.Request
			if found, err = tx.FindRequest(id); err != nil {
				return err
			}
			if c, isEnded := decide(found); isEnded {
				ended++
				err = tx.saveJoining(c)
			}
		}
		return err
	})
	return ended, err
}

// EndUser implements person.Store.
func (s personStore) EndUser(ctx context.Context, user uuid.UUID) error {
	return s.change(ctx, func(tx *Tx) error {
		of := tx.db.Where("user_uuid = ?", user).Session(&gorm.Session{})
		err := tx.db.Model(&directory.User{}).Where("uuid = ?", user).Updates(map[string]any{"is_active": false, "notifications_enabled": false}).Error
		if err == nil {
			err = of.Model(&directory.Membership{}).Where("revoked IS NULL").Update("revoked", tx.now).Error
		}
		for _, row := range []any{&identity.Session{}, &identity.Ticket{}, &identity.Identity{}, &directory.APIToken{}} {
			if err == nil {
				err = of.Delete(row).Error
			}
		}
		if err == nil {
			err = tx.db.Exec("DELETE FROM idempotency_keys WHERE user_uuid = ?", user).Error
		}
		return err
	})
}

// EraseUser implements person.Store.
func (s personStore) EraseUser(ctx context.Context, user directory.User) error {
	return s.change(ctx, func(tx *Tx) error {
		return tx.db.Select("*").Updates(new(user.Erased())).Error
	})
}

// Record implements person.Store.
func (s personStore) Record(ctx context.Context, user *directory.User, detail string) error {
	return s.change(ctx, func(tx *Tx) error {
		e := identity.Event{Type: identity.EventErased, Detail: detail}
		if user != nil {
			e.UserUUID, e.Username = &user.UUID, user.Username
		}
		return tx.SaveSignInEvent(e)
	})
}
