package store

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"invited/internal/bulk"
	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
)

// Bulk returns the store as package bulk needs it.
func (s *Store) Bulk() bulk.Store { return bulkStore{s} }

type bulkStore struct{ *Store }

var _ bulk.Tx = (*Tx)(nil)

// Read implements bulk.Store.
func (s bulkStore) Read(ctx context.Context, f func(bulk.Tx) error) error {
	return s.read(ctx, func(tx *Tx) error { return f(tx) })
}

// ReadList implements bulk.Store.
func (s bulkStore) ReadList(ctx context.Context, caller uuid.UUID, f func(bulk.Tx) error) error {
	return s.readList(ctx, caller, func(tx *Tx) error { return f(tx) })
}

// Change implements bulk.Store. A duplicate was made while decide ran: the next decision finds it.
func (s bulkStore) Change(ctx context.Context, decide func(bulk.Tx) (bulk.Change, error)) error {
	return s.change(ctx, func(tx *Tx) error {
		c, err := decide(tx)
		if err != nil {
			return err
		}
		if err = tx.save(c.Invitations); errors.Is(err, invitation.ErrDuplicate) {
			err = invitation.ErrConflict
		}
		if err != nil {
			return err
		}
		return tx.saveBulk(c)
	})
}

// BatchRows implements bulk.Store. On SQLite everybody who writes waits for the transaction: 25 rows take it 10 ms. On PostgreSQL
// nobody waits.
func (s bulkStore) BatchRows() int {
	if s.IsPostgres() {
		return 200
	}
	return 25
}

// bulkRow is the row of a bulk invitation.
type bulkRow struct {
	UUID          uuid.UUID `gorm:"primaryKey"`
	Created       time.Time
	CreatedByUUID *uuid.UUID
	CreatedBy     *directory.User `gorm:"foreignKey:CreatedByUUID;references:UUID"`
	RequestID     string
	OnDuplicate   bulk.OnDuplicate
	Total         int
	Size          int
	Counts        bulk.Counts `gorm:"serializer:json"`
	Finished      *time.Time
	IsCanceled    bool
}

func (bulkRow) TableName() string { return "bulk_invitations" }

func newBulkRow(b bulk.Bulk) bulkRow {
	return bulkRow{
		UUID: b.UUID, Created: b.Created, CreatedByUUID: b.CreatedByUUID, RequestID: b.RequestID, OnDuplicate: b.OnDuplicate,
		Total: b.Total, Size: b.Size, Counts: b.Counts, Finished: b.Finished, IsCanceled: b.IsCanceled,
	}
}

func (r bulkRow) bulk() bulk.Bulk {
	return bulk.Bulk{
		UUID: r.UUID, OnDuplicate: r.OnDuplicate, CreatedByUUID: r.CreatedByUUID, CreatedBy: r.CreatedBy, Created: r.Created.UTC(),
		Finished: utc(r.Finished), Total: r.Total, Size: r.Size, Counts: r.Counts, IsCanceled: r.IsCanceled, RequestID: r.RequestID,
	}.WithState()
}

// bulkResultRow is a row of a bulk invitation with its result.
type bulkResultRow struct {
	BulkInvitationUUID uuid.UUID
	Position           int
	Content            bulk.Row `gorm:"serializer:json"`
	Result             *bulk.Code
	InvitationUUID     *uuid.UUID
	Errors             fault.Fields `gorm:"serializer:json"`
}

func (bulkResultRow) TableName() string { return "bulk_invitation_rows" }

// saveBulk writes what a change says of bulk invitations, and its jobs.
func (tx *Tx) saveBulk(c bulk.Change) (err error) {
	switch {
	case c.New != nil:
		err = tx.insertBulk(*c.New, c.Rows)
	case c.After != nil:
		if err = tx.saveResults(c.After.UUID, c.Results); err == nil {
			err = tx.db.Select("Counts", "Finished", "IsCanceled").Updates(newBulkRow(*c.After)).Error
		}
		if err == nil && c.CancelRest {
			err = tx.db.Model(&bulkResultRow{}).Where("bulk_invitation_uuid = ? AND result IS NULL", c.After.UUID).
				Update("result", bulk.Canceled).Error
		}
	case c.Old != uuid.Nil:
		err = tx.db.Delete(&bulkRow{UUID: c.Old}).Error
	}
	if err == nil {
		err = tx.enqueue(c.Jobs)
	}
	return err
}

// bulkRowsPerStatement is the number of rows of a bulk invitation that one statement writes. Their texts have up to 20 KB each,
// and are in memory three times.
const bulkRowsPerStatement = 250

func (tx *Tx) insertBulk(b bulk.Bulk, rows []bulk.Row) error {
	if err := tx.db.Omit(clause.Associations).Create(new(newBulkRow(b))).Error; err != nil {
		return err
	}
	position := 0
	for part := range slices.Chunk(rows, bulkRowsPerStatement) {
		values := make([][]any, len(part))
		for i, row := range part {
			content, err := json.Marshal(row)
			if err != nil {
				return err
			}
			values[i] = []any{position, string(content)}
			position++
		}
		list, err := json.Marshal(values)
		if err != nil {
			return err
		}
		if err := tx.db.Exec("WITH listed (position, content) AS (?)"+
			" INSERT INTO bulk_invitation_rows (bulk_invitation_uuid, position, content) SELECT ?, position, content FROM listed",
			tx.engine.List(list, "integer", "text"), b.UUID).Error; err != nil {
			return err
		}
	}
	return nil
}

// saveResults writes results in one statement.
func (tx *Tx) saveResults(id uuid.UUID, results []bulk.Result) error {
	if len(results) == 0 {
		return nil
	}
	values := make([][]any, len(results))
	for i, r := range results {
		var messages *string
		if len(r.Errors) > 0 {
			encoded, err := json.Marshal(r.Errors)
			if err != nil {
				return err
			}
			messages = new(string(encoded))
		}
		values[i] = []any{r.Index, r.Code, r.UUID, messages}
	}
	list, err := json.Marshal(values)
	if err != nil {
		return err
	}
	// The positions are bounded, and each value of the list is computed once: PostgreSQL expects few rows, and would compare each
	// one of the bulk invitation with each one of the list.
	return affects(len(results), tx.db.Exec("WITH listed (position, result, invitation_uuid, errors) AS MATERIALIZED (?)"+
		" UPDATE bulk_invitation_rows SET result = listed.result, invitation_uuid = listed.invitation_uuid, errors = listed.errors"+
		" FROM listed WHERE bulk_invitation_rows.bulk_invitation_uuid = ? AND bulk_invitation_rows.position = listed.position"+
		" AND bulk_invitation_rows.position BETWEEN ? AND ? AND bulk_invitation_rows.result IS NULL",
		tx.engine.List(list, "integer", "text", "uuid", "text"), id, results[0].Index, results[len(results)-1].Index))
}

// affects returns the error of a statement that has to write n rows.
func affects(n int, result *gorm.DB) error {
	if result.Error == nil && result.RowsAffected != int64(n) {
		return invitation.ErrConflict
	}
	return result.Error
}

// FindBulk implements bulk.Tx.
func (tx *Tx) FindBulk(id uuid.UUID) (bulk.Bulk, error) {
	var found bulkRow
	err := tx.db.Joins("CreatedBy").Take(&found, "bulk_invitations.uuid = ?", id).Error
	return found.bulk(), err
}

// LockBulk implements bulk.Tx.
func (tx *Tx) LockBulk(id uuid.UUID) (bulk.Bulk, error) {
	var found bulkRow
	err := tx.db.Clauses(clause.Locking{Strength: noKeyUpdate}).Take(&found, "uuid = ?", id).Error
	return found.bulk(), err
}

// StoredBy implements bulk.Tx.
func (tx *Tx) StoredBy(user uuid.UUID) (bulk.Kept, error) {
	return collectOne(tx.db.Table("bulk_invitations").
		Select("count(*) - count(finished), COALESCE(sum(total), 0), COALESCE(sum(size), 0)").Where("created_by_uuid = ?", user),
		func(scan scanFunc) (k bulk.Kept, err error) {
			err = scan(&k.Unfinished, &k.Rows, &k.Size)
			return k, err
		})
}

// ListBulks implements bulk.Tx.
func (tx *Tx) ListBulks(creator *uuid.UUID, w directory.Window) ([]bulk.Bulk, int, error) {
	query := func() *gorm.DB {
		q := tx.db.Model(&bulkRow{})
		if creator != nil {
			q = q.Where("bulk_invitations.created_by_uuid = ?", *creator)
		}
		return q
	}
	var total int64
	if err := query().Count(&total).Error; err != nil {
		return nil, 0, err
	}
	var rows []bulkRow
	err := query().Joins("CreatedBy").Order("bulk_invitations.created DESC, bulk_invitations.uuid").
		Offset(w.Offset).Limit(w.Limit).Find(&rows).Error
	found := make([]bulk.Bulk, len(rows))
	for i, row := range rows {
		found[i] = row.bulk()
	}
	return found, int(total), err
}

// NextRows implements bulk.Tx.
func (tx *Tx) NextRows(id uuid.UUID, from, limit int) ([]bulk.Row, error) {
	var found []bulkResultRow
	err := tx.db.Select("content").Where("bulk_invitation_uuid = ? AND position >= ?", id, from).
		Order("position").Limit(limit).Find(&found).Error
	rows := make([]bulk.Row, len(found))
	for i, each := range found {
		rows[i] = each.Content
	}
	return rows, err
}

// ListResults implements bulk.Tx.
func (tx *Tx) ListResults(id uuid.UUID, codes []bulk.Code, w directory.Window) ([]bulk.Result, error) {
	query := tx.db.Where("bulk_invitation_uuid = ? AND result IS NOT NULL", id)
	if len(codes) > 0 {
		query = query.Where("result IN ?", codes)
	}
	var found []bulkResultRow
	err := query.Order("position").Offset(w.Offset).Limit(w.Limit).Find(&found).Error
	results := make([]bulk.Result, len(found))
	for i, each := range found {
		results[i] = bulk.Result{
			Index: each.Position, Row: each.Content, Code: *each.Result, UUID: each.InvitationUUID, Errors: each.Errors,
		}
	}
	return results, err
}

// OwnInvitations implements bulk.Tx.
func (tx *Tx) OwnInvitations(id uuid.UUID, invitations []uuid.UUID) (map[uuid.UUID]bool, error) {
	var found []uuid.UUID
	err := tx.db.Model(&bulkResultRow{}).
		Where("bulk_invitation_uuid = ? AND result IN ?", id, []bulk.Code{bulk.Created, bulk.Sent}).
		Where(tx.engine.In("invitation_uuid", invitations)).Pluck("invitation_uuid", &found).Error
	own := make(map[uuid.UUID]bool, len(found))
	for _, each := range found {
		own[each] = true
	}
	return own, err
}

// ListUnfinished implements bulk.Tx.
func (tx *Tx) ListUnfinished(limit int) (found []uuid.UUID, err error) {
	return found, tx.db.Model(&bulkRow{}).Where("finished IS NULL").Order("created").Limit(limit).Pluck("uuid", &found).Error
}

// FindOld implements bulk.Tx.
func (tx *Tx) FindOld(before time.Time) (uuid.UUID, error) {
	var found bulkRow
	err := tx.db.Select("uuid").Order("created").Take(&found, "created < ? AND finished IS NOT NULL", before).Error
	return found.UUID, err
}
