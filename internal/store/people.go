package store

import (
	"github.com/google/uuid"
	"gorm.io/gorm/clause"

	"invited/internal/directory"
)

// inForce is the condition, with now as its argument, that a membership is active. The row of one whose own time
// is over may not say so yet.
const inForce = "memberships.revoked IS NULL AND (memberships.expires IS NULL OR memberships.expires > ?)"

// granted are the columns of a directory.Grant.
const granted = "memberships.scope_uuid, scopes.type, scopes.customer_uuid, memberships.role_uuid, roles.permissions"

// Actor is the user with what they hold now. Where nothing is written, that is what the request was authenticated with.
func (tx *Tx) Actor(user directory.User) (directory.Actor, error) {
	if tx.reads && user.Held != nil {
		return directory.Actor{User: user, Grants: *user.Held}, nil
	}
	grants, err := found(tx, "SELECT "+granted+" FROM memberships JOIN scopes ON scopes.uuid = memberships.scope_uuid"+
		" JOIN roles ON roles.uuid = memberships.role_uuid WHERE memberships.user_uuid = ? AND "+inForce, []any{user.UUID, tx.now},
		func(scan scanFunc) (g directory.Grant, err error) {
			err = scan(uuidInto{&g.ScopeUUID}, (*string)(&g.ScopeType), uuidInto{&g.CustomerUUID}, uuidInto{&g.RoleUUID}, list{&g.Permissions})
			return g, err
		})
	return directory.Actor{User: user, Grants: grants}, err
}

// Staff is a user who is active staff now.
func (tx *Tx) Staff(id uuid.UUID) (directory.User, error) {
	var found directory.User
	err := tx.model().Take(&found, "uuid = ? AND is_staff AND is_active", id).Error
	return found, tx.db.translate(err)
}

// StaffToNotify lists the active staff users with an e-mail address who want mail.
func (tx *Tx) StaffToNotify() ([]directory.User, error) {
	var found []directory.User
	err := tx.model().Order("uuid").
		Find(&found, "is_staff AND is_active AND notifications_enabled AND email <> ''").Error
	return found, tx.db.translate(err)
}

// EnsureUser makes a user for an address that nobody has; it does nothing where somebody has it.
func (tx *Tx) EnsureUser(email, fullName string) error {
	folded := directory.Fold(email)
	var count int64
	if err := tx.model().Model(&directory.User{}).Where("email_folded = ?", folded).Count(&count).Error; err != nil {
		return tx.db.translate(err)
	}
	if count > 0 {
		return nil
	}
	// Somebody else may have the address for a username: they are left alone.
	return tx.db.translate(tx.model().Clauses(clause.OnConflict{DoNothing: true}).Create(&directory.User{
		UUID: uuid.New(), Username: folded, FullName: fullName, FullNameFolded: directory.Fold(fullName), Email: email, EmailFolded: folded,
		IsActive: true, NotificationsEnabled: true, Created: tx.now,
	}).Error)
}

// Role is a role.
func (tx *Tx) Role(id uuid.UUID) (directory.Role, error) {
	var found directory.Role
	err := tx.model().Take(&found, "uuid = ?", id).Error
	return found, tx.db.translate(err)
}

// Subject is a scope that was not removed, with its customer and the e-mail patterns of both, and a role without its
// permissions; each has no uuid where it is not there.
func (tx *Tx) Subject(kind directory.ScopeType, scope, role uuid.UUID) (s directory.Scope, r directory.Role, err error) {
	var (
		customer                    directory.Scope
		scopeID, customerID, roleID *uuid.UUID
	)
	// One after the other: SQLite makes the whole of a join in parentheses first.
	err = tx.row("SELECT scopes.uuid, COALESCE(scopes.type, ''), COALESCE(scopes.name, ''), COALESCE(scopes.description, ''),"+
		" scopes.start_date, scopes.user_email_patterns, COALESCE(scopes.is_removed, FALSE),"+
		" customers.uuid, COALESCE(customers.type, ''), COALESCE(customers.name, ''), customers.user_email_patterns,"+
		" COALESCE(customers.is_removed, FALSE), roles.uuid, COALESCE(roles.name, ''), COALESCE(roles.description, ''),"+
		" COALESCE(roles.scope_type, ''), COALESCE(roles.is_active, FALSE)"+
		" FROM (SELECT 1) AS asked LEFT JOIN scopes ON scopes.uuid = ? AND scopes.type = ?"+
		" LEFT JOIN scopes AS customers ON customers.uuid = scopes.customer_uuid LEFT JOIN roles ON roles.uuid = ?",
		[]any{scope, kind, role},
		maybe{&scopeID}, (*string)(&s.Type), &s.Name, &s.Description, &s.StartDate, list{&s.UserEmailPatterns}, &s.IsRemoved,
		maybe{&customerID}, (*string)(&customer.Type), &customer.Name, list{&customer.UserEmailPatterns}, &customer.IsRemoved,
		maybe{&roleID}, &r.Name, &r.Description, (*string)(&r.ScopeType), &r.IsActive)
	if err != nil {
		return s, r, err
	}
	if scopeID != nil {
		s.UUID, s.CustomerUUID, s.StartDate = *scopeID, *customerID, utc(s.StartDate)
		customer.UUID, customer.CustomerUUID = *customerID, *customerID
		s.Customer = &customer
	}
	if s.Customer == nil || s.Removed() {
		s = directory.Scope{}
	}
	if roleID != nil {
		r.UUID = *roleID
	}
	return s, r, nil
}

// LockScope makes other transactions wait that would lock the same scope, until this one ends.
func (tx *Tx) LockScope(id uuid.UUID) error {
	var found directory.Scope
	err := tx.db.dialect.locked(tx.model().Select("uuid"), "scopes").Take(&found, "uuid = ?", id).Error
	return tx.db.translate(err)
}

// HasMember tells whether anybody holds a role of this name in the scope.
func (tx *Tx) HasMember(scope uuid.UUID, roleName string) (bool, error) {
	var count int64
	err := tx.model().Model(&directory.Membership{}).
		Joins("JOIN roles ON roles.uuid = memberships.role_uuid").
		Where("memberships.scope_uuid = ? AND roles.name = ?", scope, roleName).
		Where(inForce, tx.now).
		Count(&count).Error
	return count > 0, tx.db.translate(err)
}

// Retire closes the row of a membership like this whose own time is over: the database, which sees only what is written,
// would refuse another.
func (tx *Tx) Retire(m directory.Membership) error {
	return tx.write(write{
		text: "UPDATE memberships SET revoked = ? WHERE user_uuid = ? AND role_uuid = ? AND scope_uuid = ?" +
			" AND revoked IS NULL AND expires <= ?",
		arguments: []any{tx.now, m.UserUUID, m.RoleUUID, m.ScopeUUID, tx.now},
	})
}
