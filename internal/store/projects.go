package store

import (
	"github.com/google/uuid"
	"gorm.io/gorm/clause"

	"invited/internal/directory"
	"invited/internal/invitation"
)

// FindProject implements joining.Tx.
func (tx *Tx) FindProject(customer uuid.UUID, name string, madeFor *uuid.UUID) (directory.Scope, error) {
	first := clause.Expr{
		SQL: "CASE WHEN scopes.made_for_uuid = ? THEN 0 WHEN scopes.made_for_uuid IS NULL AND scopes.name = ? THEN 1" +
			" WHEN scopes.group_invitation_uuid IS NOT NULL THEN 2 ELSE 3 END, scopes.created, scopes.uuid",
		Vars: []any{madeFor, name},
	}
	return collectOne(tx.db.Table("scopes").Select(scopeColumns+patternColumns+", scopes.group_invitation_uuid, scopes.made_for_uuid").Joins(joinScopeCustomer).
		Where("scopes.customer_uuid = ? AND scopes.type = ? AND NOT scopes.is_removed", customer, directory.Project).
		Where("scopes.name_folded = ?", directory.Fold(name)).Order(clause.OrderBy{Expression: first}).Limit(1),
		func(scan scanFunc) (directory.Scope, error) {
			var found, ofCustomer directory.Scope
			err := scan(append(scopeTargets(&found, &ofCustomer),
				jsonStrings{&found.UserEmailPatterns}, jsonStrings{&ofCustomer.UserEmailPatterns}, &found.GroupInvitationUUID, &found.MadeForUUID)...)
			return withCustomer(found, ofCustomer), err
		})
}

// insertProject writes a made project. It returns invitation.ErrConflict where one of the name was made meanwhile.
func (tx *Tx) insertProject(project directory.Scope) error {
	result := tx.db.Omit(clause.Associations).Clauses(clause.OnConflict{
		Columns:     []clause.Column{{Name: "customer_uuid"}, {Name: "name_folded"}},
		TargetWhere: clause.Where{Exprs: []clause.Expression{clause.Expr{SQL: "group_invitation_uuid IS NOT NULL AND NOT is_removed"}}},
		DoNothing:   true,
	}).Create(&project)
	if result.Error == nil && result.RowsAffected == 0 {
		return invitation.ErrConflict
	}
	return result.Error
}
