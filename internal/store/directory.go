package store

import (
	"context"
	"encoding/json"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"invited/internal/directory"
)

// Directory returns the database as package directory needs it.
func (db *DB) Directory() directory.Store { return keeping{db} }

// keeping adapts DB to directory.Store: the same transactions, with the narrower interface.
type keeping struct{ db *DB }

func (s keeping) Read(ctx context.Context, f func(directory.Tx) error) error {
	return s.db.Snapshot(ctx, func(tx *Tx) error { return f(tx) })
}

func (s keeping) Write(ctx context.Context, f func(directory.Tx) error) error {
	err := s.db.Write(ctx, func(tx *Tx) error { return f(tx) })
	if err != nil && (s.db.dialect.duplicate(err, "") || s.db.dialect.rolledBack(err)) {
		return directory.ErrConflict
	}
	return err
}

var _ directory.Tx = (*Tx)(nil)

// LockDirectory makes other transactions wait that lock it too.
func (tx *Tx) LockDirectory() error {
	if lock := tx.db.dialect.lockDirectory(); lock != "" {
		return tx.db.translate(tx.model().Exec(lock).Error)
	}
	return nil
}

// listed finds the rows, among those of a query, of which some columns are among a list.
func listed[Row, Want any](
	tx *Tx, of *gorm.DB, found *[]Row, wanted []Want, texts func(Want) []string, columns ...column,
) error {
	if len(wanted) == 0 {
		return nil
	}
	rows := make([][]string, len(wanted))
	for i, each := range wanted {
		rows[i] = texts(each)
	}
	list, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	var more []Row
	err = of.
		Where("("+names(columns)+") IN ("+tx.db.dialect.among(columns)+")", string(list)).
		Find(&more).Error
	*found = append(*found, more...)
	return tx.db.translate(err)
}

func text(value string) []string { return []string{value} }

func idText(id uuid.UUID) []string { return []string{id.String()} }

// distinct leaves out rows that come again.
func distinct[Row any](rows []Row, idOf func(Row) uuid.UUID) []Row {
	seen, kept := make(map[uuid.UUID]bool, len(rows)), rows[:0]
	for _, each := range rows {
		if id := idOf(each); !seen[id] {
			seen[id] = true
			kept = append(kept, each)
		}
	}
	return kept
}

// either finds the rows that have one of the uuids or of the texts in a column that is unique.
func either[Row any](tx *Tx, ids []uuid.UUID, texts []string, unique string, idOf func(Row) uuid.UUID) ([]Row, error) {
	var found []Row
	if err := listed(tx, tx.model(), &found, ids, idText, column{"uuid", "uuid"}); err != nil {
		return nil, err
	}
	if err := listed(tx, tx.model(), &found, texts, text, column{unique, "text"}); err != nil {
		return nil, err
	}
	return distinct(found, idOf), nil
}

// RolesBy returns the roles that have one of the uuids or names.
func (tx *Tx) RolesBy(ids []uuid.UUID, names []string) ([]directory.Role, error) {
	return either(tx, ids, names, "name", func(r directory.Role) uuid.UUID { return r.UUID })
}

// UsersBy returns the users who have one of the uuids or usernames.
func (tx *Tx) UsersBy(ids []uuid.UUID, usernames []string) ([]directory.User, error) {
	return either(tx, ids, usernames, "username", func(u directory.User) uuid.UUID { return u.UUID })
}

// TokensBy returns the tokens that have one of the digests.
func (tx *Tx) TokensBy(digests []string) ([]directory.APIToken, error) {
	var found []directory.APIToken
	return found, listed(tx, tx.model(), &found, digests, text, column{"digest", "text"})
}

// ScopesBy returns the scopes that have one of the uuids or keys, removed ones too, without their customers.
func (tx *Tx) ScopesBy(ids []uuid.UUID, keys []directory.ScopeKey) ([]directory.Scope, error) {
	var customers, others []directory.ScopeKey
	for _, each := range keys {
		if each.Type == directory.Customer {
			customers = append(customers, each)
		} else {
			others = append(others, each)
		}
	}
	var found []directory.Scope
	if err := listed(tx, tx.model(), &found, ids, idText, column{"uuid", "uuid"}); err != nil {
		return nil, err
	}
	name := func(k directory.ScopeKey) []string { return []string{string(k.Type), k.Name} }
	if err := listed(tx, tx.model(), &found, customers, name, column{"type", "text"}, column{"name", "text"}); err != nil {
		return nil, err
	}
	whole := func(k directory.ScopeKey) []string { return []string{string(k.Type), k.Name, k.Customer.String()} }
	err := listed(tx, tx.model(), &found, others, whole,
		column{"type", "text"}, column{"name", "text"}, column{"customer_uuid", "uuid"})
	return distinct(found, func(s directory.Scope) uuid.UUID { return s.UUID }), err
}

// MembershipsBy returns the memberships with one of the keys that are not revoked; the time of some may be over.
func (tx *Tx) MembershipsBy(keys []directory.MembershipKey) ([]directory.Membership, error) {
	var found []directory.Membership
	err := listed(tx, tx.model().Where("revoked IS NULL"), &found, keys,
		func(k directory.MembershipKey) []string {
			return []string{k.User.String(), k.Role.String(), k.Scope.String()}
		},
		column{"user_uuid", "uuid"}, column{"role_uuid", "uuid"}, column{"scope_uuid", "uuid"})
	return found, err
}

// AllRoles returns every role, by name.
func (tx *Tx) AllRoles() ([]directory.Role, error) {
	var found []directory.Role
	return found, tx.db.translate(tx.model().Order("name").Find(&found).Error)
}

// UsersAfter returns the next users by username, from the first where it is empty.
func (tx *Tx) UsersAfter(username string, limit int) ([]directory.User, error) {
	var found []directory.User
	err := tx.model().Order("username").Limit(limit).Find(&found, "username > ?", username).Error
	return found, tx.db.translate(err)
}

// CustomersAfter returns the next customers by name and uuid, removed ones too, from the first where the name is
// empty.
func (tx *Tx) CustomersAfter(name string, id uuid.UUID, limit int) ([]directory.Scope, error) {
	var found []directory.Scope
	err := tx.model().Order("name, uuid").Limit(limit).
		Find(&found, "type = ? AND (name, uuid) > (?, ?)", directory.Customer, name, id).Error
	return found, tx.db.translate(err)
}

// ScopesOf returns the scopes of customers that are no customers, by type, name and uuid; removed ones too.
func (tx *Tx) ScopesOf(customers []uuid.UUID) ([]directory.Scope, error) {
	var found []directory.Scope
	condition, argument := tx.db.dialect.in("customer_uuid", customers)
	err := tx.model().Where(condition, argument).Order("type, name, uuid").
		Find(&found, "type <> ?", directory.Customer).Error
	return found, tx.db.translate(err)
}

// HoldersIn returns the memberships in force in the scopes of customers, their own included, by username and role.
func (tx *Tx) HoldersIn(customers []uuid.UUID) ([]directory.Holder, error) {
	var found []directory.Holder
	condition, argument := tx.db.dialect.in("scopes.customer_uuid", customers)
	err := tx.model().Table("memberships").
		Select("memberships.scope_uuid, users.username, roles.name AS role_name, memberships.expires").
		Joins("JOIN scopes ON scopes.uuid = memberships.scope_uuid").
		Joins("JOIN users ON users.uuid = memberships.user_uuid").
		Joins("JOIN roles ON roles.uuid = memberships.role_uuid").
		Where(condition, argument).
		Where(inForce, tx.now).
		Order("users.username, roles.name").
		Find(&found).Error
	return found, tx.db.translate(err)
}

// SaveRoles writes roles over those with the same uuid, or as new ones.
func (tx *Tx) SaveRoles(rows []directory.Role) error {
	return save(tx, rows, "uuid", "name", "name_folded", "description", "description_folded", "permissions", "is_active")
}

// SaveUsers writes users over those with the same uuid, or as new ones.
func (tx *Tx) SaveUsers(rows []directory.User) error {
	return save(tx, rows, "uuid", "username", "full_name", "full_name_folded", "email", "email_folded", "civil_number", "image",
		"is_staff", "is_support", "is_active", "notifications_enabled")
}

// SaveTokens writes tokens over those with the same digest, or as new ones.
func (tx *Tx) SaveTokens(rows []directory.APIToken) error { return save(tx, rows, "digest", "expires") }

// SaveScopes writes scopes over those with the same uuid, or as new ones.
func (tx *Tx) SaveScopes(rows []directory.Scope) error {
	return save(tx, rows, "uuid", "name", "name_folded", "description", "description_folded", "start_date",
		"user_email_patterns", "is_removed")
}

// SaveMemberships writes memberships over those with the same uuid, or as new ones.
func (tx *Tx) SaveMemberships(rows []directory.Membership) error {
	return save(tx, rows, "uuid", "expires", "revoked")
}

// saveRows is how many rows one statement has: no table has more than 20 columns, and SQLite takes 32,766 arguments.
const saveRows = 1_000

// save writes rows, over those that have the same key: of these only the columns named.
func save[Row any](tx *Tx, rows []Row, key string, columns ...string) error {
	err := tx.model().Omit(clause.Associations).
		Clauses(clause.OnConflict{Columns: []clause.Column{{Name: key}}, DoUpdates: clause.AssignmentColumns(columns)}).
		CreateInBatches(rows, saveRows).Error
	return tx.db.translate(err)
}
