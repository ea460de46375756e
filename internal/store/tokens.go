package store

import (
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"invited/internal/directory"
)

// ListTokens implements identity.Tx.
func (tx *Tx) ListTokens(user uuid.UUID, w directory.Window) (rows []directory.APIToken, total int, err error) {
	query := tx.db.Model(&directory.APIToken{}).Where("user_uuid = ?", user).Session(&gorm.Session{})
	var count int64
	if err = query.Count(&count).Error; err == nil {
		err = query.Order("created DESC, uuid").Offset(w.Offset).Limit(w.Limit).Find(&rows).Error
	}
	return rows, int(count), err
}

// FindToken implements identity.Tx.
func (tx *Tx) FindToken(user, id uuid.UUID) (found directory.APIToken, err error) {
	return found, tx.db.Take(&found, "user_uuid = ? AND uuid = ?", user, id).Error
}

// CountOwnTokens implements identity.Tx.
func (tx *Tx) CountOwnTokens(user uuid.UUID) (int, error) {
	var count int64
	err := tx.db.Model(&directory.APIToken{}).
		Where("user_uuid = ? AND issued_by_uuid IS NULL AND NOT signed_in AND (expires IS NULL OR expires > ?)", user, tx.now).Count(&count).Error
	return int(count), err
}

// DeleteIssuedTokens implements identity.Tx.
func (tx *Tx) DeleteIssuedTokens(before time.Time) error {
	return tx.db.Delete(&directory.APIToken{}, "issued_by_uuid IS NOT NULL AND expires < ?", before).Error
}

// LockUser implements identity.Tx. Rows that refer to the user can be written all the same; see noKeyUpdate.
func (tx *Tx) LockUser(id uuid.UUID) (found directory.User, err error) {
	return found, tx.db.Clauses(clause.Locking{Strength: noKeyUpdate}).Take(&found, "uuid = ?", id).Error
}
