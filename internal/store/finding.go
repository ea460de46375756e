package store

import (
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"invited/internal/directory"
	"invited/internal/invitation"
)

// firstCreated is the time at which an invitation was created, whatever began its present life. SQLite recognizes the index
// invitations_first_created by the very text.
const firstCreated = "COALESCE(invitations.first_created, invitations.created)"

// containsText is the filter by a part of what people know of an invitation.
func (tx *Tx) containsText(t invitation.Text) filter {
	if t.Part == "" {
		return all
	}
	columns := []string{}
	if t.HasFullName {
		columns = append(columns, folded("full_name"))
	}
	if t.HasNativeName {
		columns = append(columns, folded("native_name"))
	}
	named := tx.engine.InQuery("invitations.scope_uuid", tx.db.Table("scopes").Select("uuid").Scopes(contains(t.Part, "scopes.name_folded")))
	alternatives := append(containing(directory.Fold(t.Part), columns...),
		containing(directory.FoldEmailPart(t.Part), "invitations.email_folded")...)
	return anyOf(append(alternatives, named)...)
}

// folded is a name of the invitee in folded form. A version that folded no names has written the rows without one.
func folded(column string) string {
	return "COALESCE(invitations." + column + "_folded, lower(invitations." + column + "))"
}

// inEachState returns the parts of inStates, one for each stored state. An index has each part in the order of a cursor: of all
// states together, both engines read every invitation of the server to find that no more of a rare state come.
func (tx *Tx) inEachState(q invitation.Query) []clause.Expr {
	var parts []clause.Expr
	for _, state := range invitation.States {
		part := clause.Expr{SQL: "invitations.state = '" + string(state) + "'"}
		expires := slices.Contains(openStates, state)
		asked, askedExpired := slices.Contains(q.States, state), expires && slices.Contains(q.States, invitation.Expired)
		if !asked && !askedExpired {
			continue
		}
		if expires && asked != askedExpired {
			part.Vars = expiredBy(q.Cutoff, tx.now)
			if asked {
				part.SQL += " AND NOT " + isExpired
			} else {
				part.SQL += " AND " + isExpired
			}
		}
		parts = append(parts, part)
	}
	return parts
}

// mine is the filter by the invitee: the rule of invitation.Service.Mine. A declined invitation is past its end as
// invitation.Invitation.Expires says, whatever its state is.
func (tx *Tx) mine(q invitation.Query) filter {
	if q.Invitee.Email == "" {
		return anyOf()
	}
	open := clause.Expr{SQL: awaitsInvitee + " AND NOT " + isExpired, Vars: expiredBy(q.Cutoff, tx.now)}
	undoable := clause.Expr{
		SQL: "invitations.state = 'canceled' AND invitations.declined_at > ?" +
			" AND NOT (" + isPastLifetime + ") AND NOT (" + hasFixedEnd + " AND " + fixedEnd + " <= ?)" +
			" AND NOT EXISTS (SELECT 1 FROM invitation_events AS undone WHERE undone.invitation_uuid = invitations.uuid" +
			" AND undone.event_type = ? AND undone.created >= invitations.created)",
		Vars: []any{q.Invitee.DeclinedAfter, q.Cutoff, q.Cutoff, tx.now, invitation.EventDeclineUndone},
	}
	return func(db *gorm.DB) *gorm.DB {
		return db.Where("invitations.email_folded = ? AND (invitations.civil_number = '' OR invitations.civil_number = ?) AND NOT "+ofRemovedScope,
			q.Invitee.Email, q.Invitee.CivilNumber).Scopes(anyOf(open, undoable))
	}
}
