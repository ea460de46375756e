package store

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"invited/internal/directory"
	"invited/internal/identity"
)

// FileStore returns the store as the commands about tokens and package dirfile use it.
func (s *Store) FileStore() directory.FileStore { return fileStore{s} }

type fileStore struct{ *Store }

// Read implements directory.FileStore.
func (s fileStore) Read(ctx context.Context, f func(directory.FileTx) error) error {
	return s.Snapshot(ctx, func(db *gorm.DB, now time.Time) error { return f(&Tx{db: db, engine: s.DB, now: now}) })
}

// Write implements directory.FileStore.
func (s fileStore) Write(ctx context.Context, f func(directory.FileTx) error) error {
	err := s.Store.Write(ctx, func(db *gorm.DB, now time.Time) error { return f(&Tx{db: db, engine: s.DB, now: now}) })
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return directory.ErrConflict
	}
	return err
}

var _ directory.FileTx = (*Tx)(nil)

// directoryLock is a number that nothing else locks; goose's lock on migrations is another one.
const directoryLock = 4703145181527

// LockDirectory makes every other transaction that calls it wait until this transaction ends.
func (tx *Tx) LockDirectory() error { return tx.engine.Lock(tx.db, directoryLock) }

// FindRoles returns the roles that have one of the uuids or names.
func (tx *Tx) FindRoles(ids []uuid.UUID, roleNames []string) ([]directory.Role, error) {
	return findByIDOrText(tx, ids, roleNames, "name text", func(r directory.Role) uuid.UUID { return r.UUID })
}

// FindUsers returns the users that have one of the uuids or usernames.
func (tx *Tx) FindUsers(ids []uuid.UUID, usernames []string) ([]directory.User, error) {
	return findByIDOrText(tx, ids, usernames, "username text", func(u directory.User) uuid.UUID { return u.UUID })
}

// FindTokens returns the API tokens that have one of the digests.
func (tx *Tx) FindTokens(digests []string) ([]directory.APIToken, error) {
	return findAll[directory.APIToken](tx, tx.db, tuples(digests), "digest text")
}

// TokensOf returns the API tokens of users.
func (tx *Tx) TokensOf(users []uuid.UUID) ([]directory.APIToken, error) {
	return findAll[directory.APIToken](tx, tx.db, tuples(users), "user_uuid uuid")
}

// AllTokens returns the API tokens of the user with a username, or of all users where username is empty, by username and
// time of creation.
func (tx *Tx) AllTokens(username string) ([]directory.UserToken, error) {
	var rows []directory.UserToken
	query := tx.db.Model(&directory.APIToken{}).Select("api_tokens.*, users.username").
		Joins("JOIN users ON users.uuid = api_tokens.user_uuid").
		Order("users.username, api_tokens.created, api_tokens.uuid")
	if username != "" {
		query = query.Where("users.username = ?", username)
	}
	return rows, query.Find(&rows).Error
}

// FindScopes returns the scopes that have one of the uuids or keys, removed scopes included, without their customers.
func (tx *Tx) FindScopes(ids []uuid.UUID, keys []directory.ScopeKey) ([]directory.Scope, error) {
	var customers, others [][]any
	for _, k := range keys {
		if k.Type == directory.Customer { // its customer is its own uuid, which is not known
			customers = append(customers, []any{k.Type, k.Name})
		} else {
			others = append(others, []any{k.Type, k.Name, k.Customer})
		}
	}
	byID, err := findAll[directory.Scope](tx, tx.db, tuples(ids), "uuid uuid")
	if err != nil {
		return nil, err
	}
	byName, err := findAll[directory.Scope](tx, tx.db, customers, "type text", "name text")
	if err != nil {
		return nil, err
	}
	byKey, err := findAll[directory.Scope](tx, tx.db, others, "type text", "name text", "customer_uuid uuid")
	return distinct(append(append(byID, byName...), byKey...), func(s directory.Scope) uuid.UUID { return s.UUID }), err
}

// FindMemberships returns the memberships that have one of the keys and are not revoked, expired ones included.
func (tx *Tx) FindMemberships(keys []directory.MembershipKey) ([]directory.Membership, error) {
	wanted := make([][]any, len(keys))
	for i, k := range keys {
		wanted[i] = []any{k.User, k.Role, k.Scope}
	}
	return findAll[directory.Membership](tx, tx.db.Where("revoked IS NULL"), wanted,
		"user_uuid uuid", "role_uuid uuid", "scope_uuid uuid")
}

// findByIDOrText returns the rows that have one of the uuids, or one of the texts in a column with unique values. Two
// queries are faster than one with OR, for which PostgreSQL reads the whole table.
func findByIDOrText[Row any](tx *Tx, ids []uuid.UUID, texts []string, unique string, idOf func(Row) uuid.UUID) ([]Row, error) {
	byID, err := findAll[Row](tx, tx.db, tuples(ids), "uuid uuid")
	if err != nil {
		return nil, err
	}
	byText, err := findAll[Row](tx, tx.db, tuples(texts), unique)
	return distinct(append(byID, byText...), idOf), err
}

// findAll returns the rows of a query whose values in some columns ("name type") equal one of the wanted tuples. The
// tuples are a single argument, because PostgreSQL allows 65,535 arguments and SQLite 32,766.
func findAll[Row any](tx *Tx, query *gorm.DB, wanted [][]any, columns ...string) ([]Row, error) {
	if len(wanted) == 0 {
		return nil, nil
	}
	list, err := json.Marshal(wanted)
	if err != nil {
		return nil, err
	}
	names, types := make([]string, len(columns)), make([]string, len(columns))
	for i, column := range columns {
		names[i], types[i], _ = strings.Cut(column, " ")
	}
	var rows []Row
	return rows, query.Find(&rows, "("+strings.Join(names, ", ")+") IN (?)", tx.engine.List(list, types...)).Error
}

// tuples returns a tuple of one for each value.
func tuples[Value any](values []Value) [][]any {
	all := make([][]any, len(values))
	for i, each := range values {
		all[i] = []any{each}
	}
	return all
}

// distinct returns the rows without repetitions, by uuid.
func distinct[Row any](rows []Row, idOf func(Row) uuid.UUID) []Row {
	slices.SortFunc(rows, func(a, b Row) int { return strings.Compare(idOf(a).String(), idOf(b).String()) })
	return slices.CompactFunc(rows, func(a, b Row) bool { return idOf(a) == idOf(b) })
}

// AllRoles returns every role, by name.
func (tx *Tx) AllRoles() ([]directory.Role, error) {
	var rows []directory.Role
	return rows, tx.db.Order("name").Find(&rows).Error
}

// UsersAfter returns the first users, by username, whose username is greater than the given one.
func (tx *Tx) UsersAfter(username string, limit int) ([]directory.User, error) {
	var rows []directory.User
	return rows, tx.db.Where("username > ?", username).Order("username").Limit(limit).Find(&rows).Error
}

// CustomersAfter returns the first customers, by name and uuid, that follow the given name and uuid. Removed customers
// are included.
func (tx *Tx) CustomersAfter(name string, id uuid.UUID, limit int) ([]directory.Scope, error) {
	var rows []directory.Scope
	return rows, tx.db.Where("type = ? AND (name, uuid) > (?, ?)", directory.Customer, name, id).
		Order("name, uuid").Limit(limit).Find(&rows).Error
}

// ScopesOf returns the scopes of customers, by type, name and uuid. Removed scopes are included, and the customers
// themselves are not.
func (tx *Tx) ScopesOf(customers []uuid.UUID) ([]directory.Scope, error) {
	var rows []directory.Scope
	return rows, tx.db.Where(tx.engine.In("customer_uuid", customers)).Where("type <> ?", directory.Customer).
		Order("type, name, uuid").Find(&rows).Error
}

// HoldersIn returns the active memberships in customers and in their scopes, by username and role name.
func (tx *Tx) HoldersIn(customers []uuid.UUID) ([]directory.Holder, error) {
	var rows []directory.Holder
	return rows, tx.db.Model(&directory.Membership{}).
		Select("memberships.scope_uuid, users.username, roles.name AS role_name, memberships.expires").
		Joins("JOIN scopes ON scopes.uuid = memberships.scope_uuid").
		Joins("JOIN users ON users.uuid = memberships.user_uuid").
		Joins("JOIN roles ON roles.uuid = memberships.role_uuid").
		Where(tx.engine.In("scopes.customer_uuid", customers)).
		Where(isActive, tx.now).
		Order("users.username, roles.name").
		Find(&rows).Error
}

// SaveRoles inserts roles, and updates those whose uuid exists. An update keeps the scope type.
func (tx *Tx) SaveRoles(rows []directory.Role) error {
	return save(tx, rows, "uuid", "name", "name_folded", "description", "description_folded", "permissions", "is_active")
}

// SaveUsers inserts users, and updates those whose uuid exists. An update keeps the time of creation. The sessions of users
// who are inactive or programs end for good, those in a front end too.
func (tx *Tx) SaveUsers(rows []directory.User) error {
	err := save(tx, rows, "uuid", "username", "full_name", "full_name_folded", "email", "email_folded", "civil_number", "image",
		"is_staff", "is_support", "is_active", "notifications_enabled", "kind")
	var signedOut []uuid.UUID
	for _, user := range rows {
		if !user.IsActive || user.IsService() {
			signedOut = append(signedOut, user.UUID)
		}
	}
	if err != nil || len(signedOut) == 0 {
		return err
	}
	_, err = tx.DeleteSessionsOf(signedOut...)
	return err
}

// SaveTokens inserts API tokens, and updates the expiry of those whose digest exists.
func (tx *Tx) SaveTokens(rows []directory.APIToken) error { return save(tx, rows, "digest", "expires") }

// SaveTokenUses sets the last use of the API tokens that have one of the digests to the present time.
func (tx *Tx) SaveTokenUses(digests []string) error {
	list, err := json.Marshal(tuples(digests))
	if err != nil {
		return err
	}
	return tx.db.Model(&directory.APIToken{}).Where("digest IN (?)", tx.engine.List(list, "text")).
		Update("last_used", tx.now).Error
}

// DeleteTokens deletes the API tokens that have one of the uuids, and returns them.
func (tx *Tx) DeleteTokens(ids []uuid.UUID) (deleted []directory.APIToken, err error) {
	return deleted, tx.db.Clauses(clause.Returning{}).Where(tx.engine.In("uuid", ids)).Delete(&deleted).Error
}

// SaveTokenEvents writes for each API token the event that the operator made or revoked it.
func (tx *Tx) SaveTokenEvents(made bool, tokens []directory.APIToken) error {
	ids := make([]uuid.UUID, len(tokens))
	for i, each := range tokens {
		ids[i] = each.UserUUID
	}
	users, err := tx.FindUsers(ids, nil)
	if err != nil {
		return err
	}
	byID := map[uuid.UUID]directory.User{}
	for _, user := range users {
		byID[user.UUID] = user
	}
	events := make([]identity.Event, len(tokens))
	for i, each := range tokens {
		events[i] = identity.TokenEvent(made, byID[each.UserUUID], each)
		events[i].Created = tx.now
	}
	return tx.db.CreateInBatches(events, rowsPerStatement).Error
}

// SaveScopes inserts scopes, and updates those whose uuid exists. An update keeps the type, the customer and the time
// of creation.
func (tx *Tx) SaveScopes(rows []directory.Scope) error {
	rows = slices.Clone(rows)
	for i := range rows {
		rows[i].Modified = &tx.now
	}
	return save(tx, rows, "uuid", "name", "name_folded", "slug", "description", "description_folded", "start_date",
		"user_email_patterns", "is_removed", "group_invitation_uuid", "made_for_uuid", "modified")
}

// SaveMemberships inserts memberships, and updates the expiry and revocation of those whose uuid exists.
func (tx *Tx) SaveMemberships(rows []directory.Membership) error {
	rows = slices.Clone(rows)
	for i := range rows {
		rows[i].Modified = &tx.now
	}
	return save(tx, rows, "uuid", "expires", "revoked", "modified")
}

// save inserts rows. For a row whose key exists, it updates the given columns.
func save[Row any](tx *Tx, rows []Row, key string, columns ...string) error {
	return tx.db.Omit(clause.Associations).
		Clauses(clause.OnConflict{Columns: []clause.Column{{Name: key}}, DoUpdates: clause.AssignmentColumns(columns)}).
		CreateInBatches(rows, rowsPerStatement).Error
}
