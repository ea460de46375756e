package store

import (
	"encoding/json"
	"strings"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/invitation"
)

// eventFields are what is written of an event: the uuid of its invitation, and the rest in the order of eventValues.
var eventFields = []column{
	{"invitation_uuid", "uuid"},
	{"created", "timestamptz"},
	{"event_type", "text"},
	{"user_uuid", "uuid"},
	{"user_username", "text"},
	{"user_full_name", "text"},
	{"from_state", "text"},
	{"to_state", "text"},
	{"email", "text"},
	{"role_uuid", "uuid"},
	{"role_name", "text"},
	{"execution_state", "text"},
	{"error_message", "text"},
	{"notice", "text"},
	{"channel", "text"},
	{"recipient", "text"},
	{"request_id", "text"},
}

var (
	eventColumns = names(eventFields)
	// eventPlaces are the arguments for all but the first.
	eventPlaces = "?" + strings.Repeat(", ?", len(eventFields)-2)
)

func (tx *Tx) eventValues(e invitation.Event) []any {
	return []any{
		tx.now, e.Type, e.UserUUID, e.UserUsername, e.UserFullName, e.FromState, e.ToState,
		e.Email, e.RoleUUID, e.RoleName, e.ExecutionState, e.ErrorMessage, e.Notice, e.Channel, e.Recipient,
		invitation.RequestID(tx.ctx),
	}
}

// noted writes a change of one invitation, a row of another table with it, if any, and the event of it: all or nothing.
func (tx *Tx) noted(e invitation.Event, w write, with *row) error {
	if together := tx.db.dialect.noting(w.text, w.unchanged != nil, with); together != "" {
		w.text = together
		if with != nil {
			w.arguments = append(w.arguments, with.values...)
		}
		w.arguments = append(append(w.arguments, e.InvitationUUID), tx.eventValues(e)...)
		return tx.write(w)
	}
	written, err := tx.exec(w.text, w.arguments...)
	if err != nil {
		return w.means(tx.db.dialect, err)
	}
	if written == 0 {
		return w.unchanged
	}
	if with != nil {
		written, err := tx.exec(with.into()+" VALUES ("+with.places()+") "+with.unless, with.values...)
		if err != nil {
			return err
		}
		if written == 0 {
			return w.unadded
		}
	}
	return tx.Record(e)
}

// row is one of a table, to be written.
type row struct {
	table   string
	columns string
	values  []any
	unless  string // ON CONFLICT …: where it is not written
}

func (r row) into() string   { return "INSERT INTO " + r.table + " (" + r.columns + ")" }
func (r row) places() string { return "?" + strings.Repeat(", ?", len(r.values)-1) }

// Record writes an event that changes no row.
func (tx *Tx) Record(e invitation.Event) error {
	return tx.write(write{
		text:      "INSERT INTO invitation_events (" + eventColumns + ") VALUES (?, " + eventPlaces + ")",
		arguments: append([]any{e.InvitationUUID}, tx.eventValues(e)...),
	})
}

// recordAll writes many events in one statement, in their order.
func (tx *Tx) recordAll(events []invitation.Event) error {
	rows := make([][]any, len(events))
	for i, each := range events {
		rows[i] = append([]any{each.InvitationUUID}, withTimes(tx.eventValues(each))...) // both engines read that format
	}
	list, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	return tx.write(write{
		text:      "INSERT INTO invitation_events (" + eventColumns + ") " + tx.db.dialect.among(eventFields),
		arguments: []any{string(list)},
	})
}

// Events is a part of the events of an invitation, the newest first, and how many there are in all; a page past the end
// does not say how many.
func (tx *Tx) Events(id uuid.UUID, c directory.Window) ([]invitation.Event, int, error) {
	var rows []struct {
		invitation.Event `gorm:"embedded"`
		Total            int
	}
	err := tx.model().Table("invitation_events").Select("*, count(*) OVER () AS total").Where("invitation_uuid = ?", id).
		Order("id DESC").Offset(c.Offset).Limit(c.Limit).Find(&rows).Error
	found, total := make([]invitation.Event, 0, len(rows)), 0
	for _, each := range rows {
		each.Created = each.Created.UTC()
		found, total = append(found, each.Event), each.Total
	}
	return found, total, tx.db.translate(err)
}
