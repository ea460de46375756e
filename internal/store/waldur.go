package store

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"invited/internal/directory"
	"invited/internal/identity"
	"invited/internal/invitation"
	"invited/internal/joining"
	"invited/internal/waldur"
)

// Waldur returns the store as package waldur needs it.
func (s *Store) Waldur() waldur.Store { return waldurStore{s} }

type waldurStore struct{ *Store }

var _ waldur.Tx = (*Tx)(nil)

// Read implements waldur.Store.
func (s waldurStore) Read(ctx context.Context, f func(waldur.Tx) error) error {
	return s.Snapshot(ctx, func(db *gorm.DB, now time.Time) error { return f(&Tx{db: db, engine: s.DB, now: now}) })
}

// Write implements waldur.Store.
func (s waldurStore) Write(ctx context.Context, f func(waldur.Tx) error) error {
	err := s.Store.Write(ctx, func(db *gorm.DB, now time.Time) error {
		return f(&Tx{db: db, engine: s.DB, now: now, lock: true})
	})
	if errors.Is(err, gorm.ErrDuplicatedKey) || errors.Is(err, invitation.ErrDuplicate) || errors.Is(err, joining.ErrPending) ||
		errors.Is(err, invitation.ErrConflict) {
		return directory.ErrConflict
	}
	return err
}

// locking is the query that locks the rows that it finds, where the transaction writes.
func (tx *Tx) locking() *gorm.DB {
	if !tx.lock {
		return tx.db
	}
	return tx.db.Clauses(clause.Locking{Strength: noKeyUpdate})
}

// Analyze implements waldur.Tx. PostgreSQL plans for a table as it last was analyzed. A plan for an empty table may find a
// membership by its scope, and read all memberships of the scope for each.
func (tx *Tx) Analyze(kind waldur.Kind) error {
	table := map[waldur.Kind]string{
		waldur.Users: "users, api_tokens", waldur.Customers: "scopes", waldur.Memberships: "memberships", waldur.Invitations: "invitations",
		waldur.Groups: "group_invitations", waldur.Requests: "permission_requests",
	}[kind]
	if table == "" || !tx.engine.IsPostgres() {
		return nil
	}
	return tx.db.Exec("ANALYZE " + table).Error
}

// HasDeletedEvents implements waldur.Tx. The retention deletes events of group invitations too, and records
// nothing of that.
func (tx *Tx) HasDeletedEvents() (has bool, err error) {
	return has, tx.db.Table("event_feed").Select("deleted > 0").Scan(&has).Error
}

// FindMembershipsByID implements waldur.Tx.
func (tx *Tx) FindMembershipsByID(ids []uuid.UUID) ([]directory.Membership, error) {
	return findAll[directory.Membership](tx, tx.locking(), tuples(ids), "uuid uuid")
}

// RevokedTokens implements waldur.Tx.
func (tx *Tx) RevokedTokens(users []uuid.UUID) (details []string, err error) {
	return details, tx.db.Model(&identity.Event{}).Where(tx.engine.In("user_uuid", users)).
		Where("event_type = ?", identity.EventTokenRevoked).Pluck("detail", &details).Error
}

// FindInvitations implements waldur.Tx.
func (tx *Tx) FindInvitations(ids []uuid.UUID) ([]invitation.Invitation, error) {
	return findAll[invitation.Invitation](tx, tx.locking(), tuples(ids), "uuid uuid")
}

// ChangedInvitations implements waldur.Tx.
func (tx *Tx) ChangedInvitations(ids []uuid.UUID) (changed []uuid.UUID, err error) {
	return changed, tx.db.Model(&invitation.Event{}).Distinct("invitation_uuid").
		Where(tx.engine.In("invitation_uuid", ids)).Pluck("invitation_uuid", &changed).Error
}

// CancelInvitations implements waldur.Tx.
func (tx *Tx) CancelInvitations(ids []uuid.UUID) error {
	return tx.db.Model(&invitation.Invitation{}).Where(tx.engine.In("uuid", ids)).Where(isOpen).
		Update("state", invitation.Canceled).Error
}

// SaveInvitations implements waldur.Tx.
func (tx *Tx) SaveInvitations(changed, created []invitation.Invitation) error {
	for _, each := range changed {
		row := newInvitationRow(each)
		query := tx.db.Model(&row).Where("uuid = ?", each.UUID).Omit(clause.Associations).Select("*")
		if err := affectsOne(query.Updates(&row)); err != nil {
			return err
		}
	}
	return tx.insertMany(created)
}

// FindGroups implements waldur.Tx.
func (tx *Tx) FindGroups(ids []uuid.UUID) ([]joining.GroupInvitation, error) {
	return findAll[joining.GroupInvitation](tx, tx.locking(), tuples(ids), "uuid uuid")
}

// ChangedGroups implements waldur.Tx.
func (tx *Tx) ChangedGroups(ids []uuid.UUID) (changed []uuid.UUID, err error) {
	return changed, tx.db.Model(&joining.Event{}).Distinct("group_invitation_uuid").
		Where(tx.engine.In("group_invitation_uuid", ids)).Where("permission_request_uuid IS NULL").
		Pluck("group_invitation_uuid", &changed).Error
}

// SaveGroups implements waldur.Tx.
func (tx *Tx) SaveGroups(changed, created []joining.GroupInvitation) error {
	for _, each := range changed {
		before := each
		before.Version--
		if err := tx.saveGroup(&before, &each); err != nil {
			return err
		}
	}
	if len(created) == 0 {
		return nil
	}
	return tx.db.Omit(clause.Associations).CreateInBatches(created, rowsPerStatement).Error
}

// FindRequests implements waldur.Tx.
func (tx *Tx) FindRequests(ids []uuid.UUID) ([]joining.Request, error) {
	return findAll[joining.Request](tx, tx.locking(), tuples(ids), "uuid uuid")
}

// FindExclusive implements waldur.Tx.
func (tx *Tx) FindExclusive(users []uuid.UUID) ([]joining.Request, error) {
	return findAll[joining.Request](tx, tx.db.Where("state = 'pending' AND is_exclusive"), tuples(users), "created_by_uuid uuid")
}

// ChangedRequests implements waldur.Tx.
func (tx *Tx) ChangedRequests(groups []uuid.UUID) (changed []uuid.UUID, err error) {
	return changed, tx.db.Model(&joining.Event{}).Distinct("permission_request_uuid").
		Where(tx.engine.In("group_invitation_uuid", groups)).Where("permission_request_uuid IS NOT NULL").
		Pluck("permission_request_uuid", &changed).Error
}

// SaveRequests implements waldur.Tx.
func (tx *Tx) SaveRequests(changed, created []joining.Request) error {
	for _, each := range changed {
		if err := affectsOne(tx.db.Model(&each).Omit(clause.Associations).Select("*").Updates(&each)); err != nil {
			return err
		}
	}
	for _, each := range created {
		if err := tx.savePermissionRequest(nil, &each); err != nil {
			return err
		}
	}
	return nil
}
