package store

import (
	"slices"

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
