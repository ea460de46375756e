package store

import (
	"encoding/json"
	"strings"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/invitation"
)

// eventFields are what is written of an event, in the order of eventValues.
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
	// eventPlaces are as many arguments.
	eventPlaces = "?" + strings.Repeat(", ?", len(eventFields)-1)
)

func (tx *Tx) eventValues(e invitation.Event) []any {
	return []any{
		e.InvitationUUID, tx.now, e.Type, e.UserUUID, e.UserUsername, e.UserFullName, e.FromState, e.ToState,
		e.Email, e.RoleUUID, e.RoleName, e.ExecutionState, e.ErrorMessage, e.Notice, e.Channel, e.Recipient,
		invitation.RequestID(tx.ctx),
	}
}

// noted runs a statement that changes one invitation, and writes the event of it; it tells whether there was one to change.
// invitation.ErrTwice where another is open.
func (tx *Tx) noted(e invitation.Event, change string, arguments ...any) (bool, error) {
	if together := tx.db.dialect.noting(change); together != "" {
		written, err := tx.exec(together, append(arguments, tx.eventValues(e)...)...)
		return written == 1, tx.twice(err)
	}
	written, err := tx.exec(change, arguments...)
	if err != nil || written == 0 {
		return false, tx.twice(err)
	}
	return true, tx.Record(e)
}

// Record writes an event that changes no row.
func (tx *Tx) Record(e invitation.Event) error {
	_, err := tx.exec("INSERT INTO invitation_events ("+eventColumns+") VALUES ("+eventPlaces+")", tx.eventValues(e)...)
	return tx.db.translate(err)
}

// recordAll writes many events in one statement, in their order.
func (tx *Tx) recordAll(events []invitation.Event) error {
	rows := make([][]any, len(events))
	for i, each := range events {
		rows[i] = withTimes(tx.eventValues(each)) // both engines read that format
	}
	list, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	_, err = tx.exec("INSERT INTO invitation_events ("+eventColumns+") "+tx.db.dialect.among(eventFields), string(list))
	return tx.db.translate(err)
}

// Events is a part of the events of an invitation, the newest first, and how many there are in all; a page past the end
// does not say how many.
func (tx *Tx) Events(id uuid.UUID, c directory.Cut) ([]invitation.Event, int, error) {
	var rows []struct {
		invitation.Event `gorm:"embedded"`
		Total            int
	}
	err := tx.orm.Table("invitation_events").Select("*, count(*) OVER () AS total").Where("invitation_uuid = ?", id).
		Order("id DESC").Offset(c.Offset).Limit(c.Limit).Find(&rows).Error
	found, total := make([]invitation.Event, 0, len(rows)), 0
	for _, each := range rows {
		each.Created = each.Created.UTC()
		found, total = append(found, each.Event), each.Total
	}
	return found, total, tx.db.translate(err)
}
