package store

import (
	"context"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"invited/internal/directory"
)

// actorColumns, actorJoins and scanActor read a user with their grants: one row for each active membership, or one row
// without a membership. The joins take the present time as an argument. This is SQL text because every request runs it
// (three statements of GORM's take 2.5 times as long) and because one statement sees user and grants as of one moment.
// The joins stand one after the other: SQLite computes the whole of a join in parentheses first.
const (
	actorColumns = "users.uuid, users.username, users.full_name, users.email, users.email_folded, users.civil_number," +
		" users.image, users.is_staff, users.is_support, users.is_active, users.notifications_enabled, users.created," +
		" users.kind," +
		" memberships.scope_uuid, scopes.type, scopes.customer_uuid, memberships.role_uuid, roles.name," +
		" roles.permissions"
	actorJoins = " LEFT JOIN memberships ON memberships.user_uuid = users.uuid AND " + isActive +
		" LEFT JOIN scopes ON scopes.uuid = memberships.scope_uuid" +
		" LEFT JOIN roles ON roles.uuid = memberships.role_uuid"
)

func scanActor(scan scanFunc, into *directory.Actor, more ...any) error {
	var (
		user                  = &into.User
		scope, customer, role *uuid.UUID
		kind                  *directory.ScopeType
		roleName              *string
		permissions           []string
	)
	err := scan(append([]any{
		&user.UUID, &user.Username, &user.FullName, &user.Email, &user.EmailFolded, &user.CivilNumber,
		&user.Image, &user.IsStaff, &user.IsSupport, &user.IsActive, &user.NotificationsEnabled, &user.Created,
		&user.Kind,
		&scope, &kind, &customer, &role, &roleName,
		jsonStrings{&permissions},
	}, more...)...)
	if err == nil && scope != nil {
		into.Grants = append(into.Grants, directory.Grant{
			ScopeUUID: *scope, ScopeType: *kind, CustomerUUID: *customer, RoleUUID: *role, RoleName: *roleName,
			Permissions: permissions,
		})
	}
	return err
}

// Credential implements directory.Authenticator. A token that a user asked for who is no active service user any more is not
// found.
func (s *Store) Credential(ctx context.Context, digest string) (found directory.Credential, err error) {
	err = s.Read(ctx, func(db *gorm.DB, now time.Time) error {
		found.Token.Digest, found.ReadAt = digest, now
		_, err := collectOne(db.Raw("SELECT "+actorColumns+", api_tokens.expires, api_tokens.scopes, api_tokens.issued_by_uuid FROM api_tokens"+
			" JOIN users ON users.uuid = api_tokens.user_uuid"+actorJoins+
			" LEFT JOIN users AS issuers ON issuers.uuid = api_tokens.issued_by_uuid"+
			" WHERE api_tokens.digest = ? AND (issuers.uuid IS NULL OR issuers.is_active AND issuers.kind = ?)",
			now, digest, directory.ServiceUser),
			func(scan scanFunc) (struct{}, error) {
				return struct{}{}, scanActor(scan, &found.Actor,
					&found.Token.Expires, jsonStrings{&found.Token.Scopes}, &found.Token.IssuedByUUID)
			})
		return err
	})
	found.Token.UserUUID = found.UUID
	return found, err
}

// FindActor implements invitation.Tx.
func (tx *Tx) FindActor(user uuid.UUID) (found directory.Actor, err error) {
	_, err = collectOne(tx.db.Raw("SELECT "+actorColumns+" FROM users"+actorJoins+" WHERE users.uuid = ?", tx.now, user),
		func(scan scanFunc) (struct{}, error) { return struct{}{}, scanActor(scan, &found) })
	return found, err
}

// FindStaff implements invitation.Tx.
func (tx *Tx) FindStaff(user uuid.UUID) (found directory.User, err error) {
	return found, tx.db.Take(&found, "uuid = ? AND is_staff AND is_active", user).Error
}

// ListStaffToNotify implements invitation.Tx.
func (tx *Tx) ListStaffToNotify() (found []directory.User, err error) {
	return found, tx.db.Order("uuid").
		Find(&found, "is_staff AND is_active AND notifications_enabled AND email <> ''").Error
}

// HasUser implements invitation.Tx.
func (tx *Tx) HasUser(email string) (bool, error) {
	var count int64
	err := tx.db.Model(&directory.User{}).Where("email_folded = ?", email).Count(&count).Error
	return count > 0, err
}

// FindRole implements invitation.Tx.
func (tx *Tx) FindRole(id uuid.UUID) (found directory.Role, err error) {
	return found, tx.db.Take(&found, "uuid = ?", id).Error
}

// noKeyUpdate is the strength of locks on rows that foreign keys refer to. PostgreSQL locks such a row FOR KEY SHARE when it
// writes a row that refers to it. FOR UPDATE would make that wait, and two such transactions deadlock.
const noKeyUpdate = "NO KEY UPDATE"

// LockScope implements invitation.Tx.
func (tx *Tx) LockScope(id uuid.UUID) error {
	var found directory.Scope
	return tx.db.Clauses(clause.Locking{Strength: noKeyUpdate}).Select("uuid").Take(&found, "uuid = ?", id).Error
}

// HasMember implements invitation.Tx.
func (tx *Tx) HasMember(scope uuid.UUID, roleName string) (bool, error) {
	var count int64
	err := tx.db.Model(&directory.Membership{}).
		Joins("JOIN roles ON roles.uuid = memberships.role_uuid").
		Where("memberships.scope_uuid = ? AND roles.name = ?", scope, roleName).
		Where(isActive, tx.now).
		Count(&count).Error
	return count > 0, err
}
