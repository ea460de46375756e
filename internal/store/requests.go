package store

import (
	"encoding/json"
	"time"

	"gorm.io/gorm/clause"

	"invited/internal/fault"
	"invited/internal/invitation"
)

// expectNotices writes what the gathered notices among jobs are to tell. An invitation that is requested again is told of
// once, by the job of the later request. The column invitation_uuid has the uuids of permission requests too.
func (tx *Tx) expectNotices(jobs []invitation.Job) error {
	var rows []map[string]any
	for _, job := range jobs {
		if gathered, ok := job.(invitation.GatheredJob); ok {
			if n, ok := gathered.RequestNotice(); ok {
				rows = append(rows, map[string]any{"user_uuid": n.User, "invitation_uuid": n.Request, "delivery": n.Delivery})
			}
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return tx.db.Table("request_notices").Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "user_uuid"}, {Name: "invitation_uuid"}},
		DoUpdates: clause.AssignmentColumns([]string{"delivery"}),
	}).CreateInBatches(rows, rowsPerStatement).Error
}

// forgetNotices deletes what need not be told any more, all to one user.
func (tx *Tx) forgetNotices(told []invitation.RequestNotice) error {
	if len(told) == 0 {
		return nil
	}
	rows := make([][]any, len(told))
	for i, n := range told {
		rows[i] = []any{n.User, n.Request, n.Delivery}
	}
	list, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	return tx.db.Exec("DELETE FROM request_notices WHERE (user_uuid, invitation_uuid, delivery) IN (?)",
		tx.engine.List(list, "uuid", "uuid", "integer")).Error
}

// beginRequestMail returns invitation.ErrConflict where another mail to the user was begun meanwhile.
func (tx *Tx) beginRequestMail(m invitation.RequestMail) error {
	return affectsOne(tx.db.Table("request_mails").Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "user_uuid"}},
		DoUpdates: clause.AssignmentColumns([]string{"begun"}),
		Where:     clause.Where{Exprs: []clause.Expression{clause.Expr{SQL: "request_mails.begun = ?", Vars: []any{m.Last}}}},
	}).Create(map[string]any{"user_uuid": m.User, "begun": m.Begun}))
}

// maxWaiting is up to where FindRequestNotice counts.
const maxWaiting = 5_000

// FindRequestNotice implements invitation.GatherTx.
func (tx *Tx) FindRequestNotice(n invitation.RequestNotice) (waiting int, last time.Time, err error) {
	var begun *time.Time
	_, err = collectOne(tx.db.Table("request_notices").
		Select("request_mails.begun, (SELECT count(*) FROM (SELECT 1 FROM request_notices AS others"+
			" WHERE others.user_uuid = ? LIMIT ?) AS counted)", n.User, maxWaiting).
		Joins("LEFT JOIN request_mails ON request_mails.user_uuid = request_notices.user_uuid").
		Where("request_notices.user_uuid = ? AND request_notices.invitation_uuid = ? AND request_notices.delivery = ?",
			n.User, n.Request, n.Delivery),
		func(scan scanFunc) (struct{}, error) { return struct{}{}, scan(&begun, &waiting) })
	if fault.Is(err, fault.KindNotFound) {
		return 0, last, nil
	}
	if begun != nil {
		last = begun.UTC()
	}
	return waiting, last, err
}

// ListRequests implements invitation.Tx.
func (tx *Tx) ListRequests(n invitation.RequestNotice, limit int) (found []invitation.Invitation, total int, err error) {
	found, err = collect(tx.db.Table("invitations").Select(invitationColumns+", count(*) OVER ()").Joins(invitationJoins).
		Joins("JOIN request_notices ON request_notices.invitation_uuid = invitations.uuid"+
			" AND request_notices.delivery = invitations.delivery AND request_notices.user_uuid = ?", n.User).
		Where("invitations.state = ? AND NOT scopes.is_removed AND NOT customers.is_removed", invitation.Requested).
		Clauses(clause.OrderBy{Expression: clause.Expr{
			SQL:  "CASE WHEN invitations.uuid = ? THEN 0 ELSE 1 END, invitations.created, invitations.uuid",
			Vars: []any{n.Request},
		}}).Limit(limit),
		func(scan scanFunc) (invitation.Invitation, error) { return scanInvitation(scan, &total) })
	return found, total, err
}
