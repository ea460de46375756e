package store

import (
	"slices"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"invited/internal/directory"
	"invited/internal/invitation"
	"invited/internal/joining"
)

// savePermissionRequest writes a new request, the next state of one, or its end. The conflict of a new one is asked for rather
// than caught; see insert.
func (tx *Tx) savePermissionRequest(before, after *joining.Request) error {
	switch {
	case before == nil && after != nil:
		result := tx.db.Omit(clause.Associations).Clauses(clause.OnConflict{
			Columns:     []clause.Column{{Name: "created_by_uuid"}, {Name: "scope_uuid"}},
			TargetWhere: clause.Where{Exprs: []clause.Expression{clause.Expr{SQL: "state = 'pending' AND is_exclusive"}}},
			DoNothing:   true,
		}).Create(after)
		if result.Error == nil && result.RowsAffected == 0 {
			return joining.ErrPending
		}
		return result.Error
	case before != nil && after != nil:
		return affectsOne(tx.unchangedRequest(*before).Updates(map[string]any{
			"state": after.State, "reviewed_by_uuid": after.ReviewedByUUID, "reviewed_at": after.ReviewedAt,
			"review_comment": after.ReviewComment, "membership_uuid": after.MembershipUUID,
		}))
	case before != nil:
		return affectsOne(tx.unchangedRequest(*before).Delete(&joining.Request{}))
	}
	return nil
}

// unchangedRequest is the query for the row of a request, if nobody has decided about it since.
func (tx *Tx) unchangedRequest(r joining.Request) *gorm.DB {
	return tx.db.Model(&joining.Request{}).Where("uuid = ? AND state = ?", r.UUID, r.State)
}

// requestColumns are the columns that are read of a permission request, before those of its group invitation.
const (
	requestColumns = "permission_requests.uuid, permission_requests.state, permission_requests.created," +
		" permission_requests.reviewed_at, permission_requests.review_comment, permission_requests.project_name," +
		" permission_requests.project_description, permission_requests.membership_uuid, permission_requests.is_exclusive," +
		" requesters.uuid, requesters.username, requesters.full_name, requesters.email," +
		" reviewers.uuid, COALESCE(reviewers.username, ''), COALESCE(reviewers.full_name, ''), " + groupColumns

	requestJoins = "JOIN group_invitations ON group_invitations.uuid = permission_requests.group_invitation_uuid" +
		" JOIN users AS requesters ON requesters.uuid = permission_requests.created_by_uuid" +
		" LEFT JOIN users AS reviewers ON reviewers.uuid = permission_requests.reviewed_by_uuid " + groupJoins
)

// scanRequest reads requestColumns and the columns after them.
func scanRequest(scan scanFunc, more ...any) (r joining.Request, err error) {
	var reviewer directory.User
	r.Group, err = scanGroup(func(into ...any) error {
		return scan(append([]any{
			&r.UUID, &r.State, &r.Created,
			&r.ReviewedAt, &r.ReviewComment, &r.ProjectName,
			&r.ProjectDescription, &r.MembershipUUID, &r.IsExclusive,
			&r.CreatedBy.UUID, &r.CreatedBy.Username, &r.CreatedBy.FullName, &r.CreatedBy.Email,
			&r.ReviewedByUUID, &reviewer.Username, &reviewer.FullName,
		}, into...)...)
	}, more...)
	r.Created, r.ReviewedAt, r.CreatedByUUID = r.Created.UTC(), utc(r.ReviewedAt), r.CreatedBy.UUID
	r.GroupInvitationUUID, r.ScopeUUID, r.CustomerUUID = r.Group.UUID, r.Group.ScopeUUID, r.Group.CustomerUUID
	if r.ReviewedByUUID != nil {
		reviewer.UUID = *r.ReviewedByUUID
		r.ReviewedBy = &reviewer
	}
	return r, err
}

// FindRequest implements joining.Tx.
func (tx *Tx) FindRequest(id uuid.UUID) (joining.Request, error) {
	return collectOne(tx.db.Table("permission_requests").Where("permission_requests.uuid = ?", id).
		Select(requestColumns).Joins(requestJoins),
		func(scan scanFunc) (joining.Request, error) { return scanRequest(scan) })
}

// FindRequestForChange implements joining.Tx. The row is locked before anything is joined; see FindForChange.
func (tx *Tx) FindRequestForChange(id uuid.UUID) (joining.Request, error) {
	row := tx.db.Table("permission_requests").Where("uuid = ?", id)
	if tx.lock {
		row = row.Clauses(clause.Locking{Strength: "UPDATE"})
	}
	query := tx.db.Table("(?) AS permission_requests", row).Select(requestColumns + patternColumns).Joins(requestJoins)
	return collectOne(query, func(scan scanFunc) (joining.Request, error) {
		var scope, customer []string
		found, err := scanRequest(scan, jsonStrings{&scope}, jsonStrings{&customer})
		if err == nil {
			found.Group.Scope.UserEmailPatterns, found.Group.Scope.Customer.UserEmailPatterns = scope, customer
		}
		return found, err
	})
}

// ListPermissionRequests implements joining.Tx.
func (tx *Tx) ListPermissionRequests(q joining.RequestQuery) (rows []joining.Request, total int, err error) {
	rows, err = collect(tx.requestList(q).page(tx, q.Window), func(scan scanFunc) (joining.Request, error) {
		return scanRequest(scan, &total)
	})
	return rows, total, err
}

// CountPermissionRequests implements joining.Tx.
func (tx *Tx) CountPermissionRequests(q joining.RequestQuery) (int, error) {
	return tx.requestList(q).count(tx)
}

func (tx *Tx) requestList(q joining.RequestQuery) listing {
	l := listing{table: "permission_requests", columns: clause.Expr{SQL: requestColumns}, joins: requestJoins}
	l.filters = []filter{
		equalUUID("permission_requests.created_by_uuid", q.CreatedBy),
		equalUUID("permission_requests.customer_uuid", q.Customer),
		equalUUID("permission_requests.group_invitation_uuid", q.Invitation),
		tx.ofScope("permission_requests.scope_uuid", q.Scope),
	}
	l.order = ordering(q.Order, directory.Order{By: directory.ByCreated, Descending: true}, map[directory.OrderBy][]key{
		directory.ByCreated: by("permission_requests.created"),
		joining.ByState:     by("permission_requests.state"),
	})
	return l.inParts(tx.visibleRequests(q), inRequestStates(q.States))
}

// visibleRequests returns the alternatives of which a permission request in a visibility fulfils one: the same as
// joining.RequestVisibility.Includes.
func (tx *Tx) visibleRequests(q joining.RequestQuery) []clause.Expr {
	v := q.Visible
	if v.All {
		return []clause.Expr{always}
	}
	own := clause.Expr{SQL: "permission_requests.created_by_uuid = ?", Vars: []any{v.User}}
	customers := v.Customers
	if q.Customer != nil {
		// Of the other customers there is none.
		customers = slices.DeleteFunc(slices.Clone(customers), func(id uuid.UUID) bool { return id != *q.Customer })
	}
	alternatives := tx.ownCustomers("permission_requests.customer_uuid", customers, own)
	if q.Invitation != nil && len(customers) > 0 {
		// The requests of a group invitation are of its customer: the index of its requests has them in order.
		in := tx.engine.In("seen.customer_uuid", customers)
		alternatives = append(alternatives[len(alternatives)-1:], clause.Expr{
			SQL: "permission_requests.group_invitation_uuid =" +
				" (SELECT seen.uuid FROM group_invitations AS seen WHERE seen.uuid = ? AND " + in.SQL + ")",
			Vars: append([]any{*q.Invitation}, in.Vars...),
		})
	}
	return alternatives
}

// inRequestStates returns an alternative for each of some states; without states the one that has all. The states are text: each
// set of them has a plan of its own.
func inRequestStates(states []joining.State) (alternatives []clause.Expr) {
	if len(states) == 0 {
		return []clause.Expr{always}
	}
	for _, state := range joining.States {
		if slices.Contains(states, state) {
			alternatives = append(alternatives, clause.Expr{SQL: "permission_requests.state = '" + string(state) + "'"})
		}
	}
	return alternatives // none: only unknown states
}

// HasRequest implements joining.Tx.
func (tx *Tx) HasRequest(user, scope uuid.UUID) (bool, error) {
	var count int64
	err := tx.db.Table("permission_requests").
		Joins("LEFT JOIN memberships ON memberships.uuid = permission_requests.membership_uuid AND "+isActive, tx.now).
		Where("permission_requests.created_by_uuid = ? AND permission_requests.scope_uuid = ?", user, scope).
		Where("permission_requests.state = 'pending' OR permission_requests.state = 'approved' AND memberships.uuid IS NOT NULL").
		Count(&count).Error
	return count > 0, err
}

// HasRequests implements joining.Tx.
func (tx *Tx) HasRequests(group uuid.UUID) (bool, error) {
	var found []uuid.UUID
	err := tx.db.Table("permission_requests").Where("group_invitation_uuid = ?", group).Limit(1).Pluck("uuid", &found).Error
	return len(found) > 0, err
}

// ListRequestsToTell implements joining.Tx.
func (tx *Tx) ListRequestsToTell(n invitation.RequestNotice, limit int) (found []joining.Request, total int, err error) {
	found, err = collect(tx.db.Table("permission_requests").Select(requestColumns+", count(*) OVER ()").Joins(requestJoins).
		Joins("JOIN request_notices ON request_notices.invitation_uuid = permission_requests.uuid AND request_notices.user_uuid = ?", n.User).
		Where("permission_requests.state = ?", joining.Pending).
		Clauses(clause.OrderBy{Expression: clause.Expr{
			SQL:  "CASE WHEN permission_requests.uuid = ? THEN 0 ELSE 1 END, permission_requests.created, permission_requests.uuid",
			Vars: []any{n.Request},
		}}).Limit(limit),
		func(scan scanFunc) (joining.Request, error) { return scanRequest(scan, &total) })
	return found, total, err
}

// MailedTime implements joining.Tx. A mail about several requests has an event for each of them, all of one time. SQLite
// recognizes the index group_invitation_events_recipient by the very text of its condition.
func (tx *Tx) MailedTime(address string, since time.Time, n int) (time.Time, error) {
	var found []joining.Event
	err := tx.db.Select("created").Where("recipient = ? AND created > ?", address, since).Where("event_type = 'notified'").
		Where("to_state = ?", joining.Pending). // a mail to a requester is about a request that is decided
		Group("created").Order("created DESC").Offset(n - 1).Limit(1).Find(&found).Error
	if err != nil || len(found) == 0 {
		return time.Time{}, err
	}
	return found[0].Created.UTC(), nil
}

// ListApprovers implements joining.Tx. Whoever decides has a role that carries a permission to invite, in the customer or the
// scope. Other roles of the two, and all roles elsewhere, are not read: a customer has thousands of members, and few decide.
func (tx *Tx) ListApprovers(g joining.GroupInvitation) (found []directory.Actor, err error) {
	permission := g.Scope.Type.CreatePermission()
	if g.MakesProjects {
		permission = directory.Project.CreatePermission()
	}
	carries := func(name string) string { return "%" + literal.Replace(`"`+name+`"`) + "%" }
	scopes := []uuid.UUID{g.ScopeUUID, g.CustomerUUID}
	deciding := tx.db.Table("memberships").Select("memberships.user_uuid").
		Where("memberships.scope_uuid IN ?", scopes).Where(isActive, tx.now).
		Where("memberships.role_uuid IN (?)", tx.db.Table("roles").Select("uuid").
			Where(`permissions LIKE ? ESCAPE '\' OR permissions LIKE ? ESCAPE '\'`, carries(permission), carries(directory.CustomerCreatePermission)))
	_, err = collect(tx.db.Raw("SELECT "+actorColumns+" FROM users"+actorJoins+
		" WHERE users.uuid IN (?) AND users.is_active AND users.notifications_enabled AND users.email <> ''"+
		" AND memberships.scope_uuid IN ? ORDER BY users.uuid", tx.now, deciding, scopes),
		func(scan scanFunc) (struct{}, error) {
			var actor directory.Actor
			if err := scanActor(scan, &actor); err != nil {
				return struct{}{}, err
			}
			if n := len(found); n > 0 && found[n-1].UUID == actor.UUID {
				found[n-1].Grants = append(found[n-1].Grants, actor.Grants...)
			} else {
				found = append(found, actor)
			}
			return struct{}{}, nil
		})
	return found, err
}
