package store

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"invited/internal/directory"
	"invited/internal/invitation"
	"invited/internal/joining"
)

// Joining returns the store as package joining needs it.
func (s *Store) Joining() joining.Store { return joiningStore{s} }

type joiningStore struct{ *Store }

var _ joining.Tx = (*Tx)(nil)

// Read implements joining.Store.
func (s joiningStore) Read(ctx context.Context, f func(joining.Tx) error) error {
	return s.read(ctx, func(tx *Tx) error { return f(tx) })
}

// ReadList implements joining.Store.
func (s joiningStore) ReadList(ctx context.Context, caller uuid.UUID, f func(joining.Tx) error) error {
	return s.readList(ctx, caller, func(tx *Tx) error { return f(tx) })
}

// Change implements joining.Store.
func (s joiningStore) Change(ctx context.Context, decide func(joining.Tx) ([]joining.Change, error)) error {
	return s.change(ctx, func(tx *Tx) error {
		changes, err := decide(tx)
		if err != nil {
			return err
		}
		var jobs []invitation.Job
		for _, c := range changes {
			if err := tx.saveJoining(c); err != nil {
				return err
			}
			jobs = append(jobs, c.Jobs...)
		}
		if err := tx.expectNotices(jobs); err != nil {
			return err
		}
		return tx.enqueue(jobs)
	})
}

// saveJoining writes one change but its jobs. It returns invitation.ErrConflict where a row is not what the change was decided
// from, or where a project of the name or the membership was made meanwhile: the next decision finds it.
func (tx *Tx) saveJoining(c joining.Change) error {
	err := tx.saveGroup(c.Before, c.After)
	if err == nil && c.Project != nil {
		err = tx.insertProject(*c.Project)
	}
	if err == nil && c.Member != nil {
		if err = tx.insertMember(*c.Member); errors.Is(err, invitation.ErrAlreadyMember) {
			err = invitation.ErrConflict
		}
	}
	if err == nil {
		err = tx.savePermissionRequest(c.RequestBefore, c.RequestAfter)
	}
	if err == nil && c.Mail != nil {
		err = tx.beginRequestMail(*c.Mail)
	}
	if err == nil {
		err = tx.forgetNotices(c.DoneNotices)
	}
	if err != nil {
		return err
	}
	return tx.saveGroupEvent(c.Event)
}

func (tx *Tx) saveGroup(before, after *joining.GroupInvitation) error {
	switch {
	case before == nil && after != nil:
		return tx.db.Omit(clause.Associations).Create(after).Error
	case before != nil && after != nil:
		return affectsOne(tx.unchangedGroup(*before).Omit(clause.Associations).Select("*").Updates(after))
	case before != nil:
		return affectsOne(tx.unchangedGroup(*before).Delete(&joining.GroupInvitation{}))
	}
	return nil
}

// unchangedGroup is the query for the row of a group invitation, if nobody has changed the row since.
func (tx *Tx) unchangedGroup(g joining.GroupInvitation) *gorm.DB {
	return tx.db.Model(&joining.GroupInvitation{}).Where("uuid = ? AND version = ?", g.UUID, g.Version)
}

func (tx *Tx) saveGroupEvent(e *joining.Event) error {
	if e == nil {
		return nil
	}
	event := *e
	event.Created, event.RequestID = tx.now, invitation.RequestID(tx.db.Statement.Context)
	return tx.db.Create(&event).Error
}

// groupColumns are the columns that are read of a group invitation and of the tables that it refers to.
const (
	groupColumns = "group_invitations.uuid, group_invitations.version, group_invitations.created, group_invitations.expires," +
		" group_invitations.is_active, group_invitations.is_public, group_invitations.auto_create_project," +
		" group_invitations.project_name_template, group_invitations.allow_custom_project_details," +
		" group_invitations.auto_approve, group_invitations.allow_multiple_requests," +
		" group_invitations.user_email_patterns, group_invitations.user_affiliations," +
		" group_invitations.user_identity_sources, group_invitations.custom_text, group_invitations.offered_by_uuid," +
		" roles.uuid, roles.name, roles.description, roles.scope_type, roles.is_active," +
		" project_roles.uuid, COALESCE(project_roles.name, ''), COALESCE(project_roles.description, '')," +
		" COALESCE(project_roles.scope_type, ''), COALESCE(project_roles.is_active, FALSE)," +
		" scopes.uuid, scopes.type, scopes.name, scopes.description, scopes.start_date, scopes.is_removed," +
		" customers.uuid, customers.type, customers.name, customers.is_removed," +
		" creators.uuid, COALESCE(creators.username, ''), COALESCE(creators.full_name, ''), COALESCE(creators.image, '')"

	groupJoins = "JOIN roles ON roles.uuid = group_invitations.role_uuid" +
		" LEFT JOIN roles AS project_roles ON project_roles.uuid = group_invitations.project_role_uuid" +
		" JOIN scopes ON scopes.uuid = group_invitations.scope_uuid" +
		" JOIN scopes AS customers ON customers.uuid = group_invitations.customer_uuid" +
		" LEFT JOIN users AS creators ON creators.uuid = group_invitations.created_by_uuid"
)

// scanGroup reads groupColumns and the columns after them.
func scanGroup(scan scanFunc, more ...any) (joining.GroupInvitation, error) {
	var (
		g           joining.GroupInvitation
		projectRole directory.Role
		customer    directory.Scope
		creator     directory.User
	)
	err := scan(append([]any{
		&g.UUID, &g.Version, &g.Created, &g.Expires,
		&g.NotCanceled, &g.IsPublic, &g.MakesProjects,
		&g.NameTemplate, &g.CustomDetails,
		&g.AutoApprove, &g.MultipleRequests,
		jsonStrings{&g.EmailPatterns},
		jsonStrings{&g.Affiliations},
		jsonStrings{&g.IdentitySources},
		&g.CustomText, &g.OfferedByUUID,
		&g.Role.UUID, &g.Role.Name, &g.Role.Description, &g.Role.ScopeType, &g.Role.IsActive,
		&g.ProjectRoleUUID, &projectRole.Name, &projectRole.Description, &projectRole.ScopeType, &projectRole.IsActive,
		&g.Scope.UUID, &g.Scope.Type, &g.Scope.Name, &g.Scope.Description, &g.Scope.StartDate, &g.Scope.IsRemoved,
		&customer.UUID, &customer.Type, &customer.Name, &customer.IsRemoved,
		&g.CreatedByUUID, &creator.Username, &creator.FullName, &creator.Image,
	}, more...)...)
	g.Created, g.Expires, g.Scope.StartDate = g.Created.UTC(), utc(g.Expires), utc(g.Scope.StartDate)
	g.RoleUUID, g.ScopeUUID, g.CustomerUUID = g.Role.UUID, g.Scope.UUID, customer.UUID
	customer.CustomerUUID, g.Scope.CustomerUUID = customer.UUID, customer.UUID
	g.Scope.Customer = &customer
	if g.ProjectRoleUUID != nil {
		projectRole.UUID = *g.ProjectRoleUUID
		g.ProjectRole = &projectRole
	}
	if g.CreatedByUUID != nil {
		creator.UUID = *g.CreatedByUUID
		g.CreatedBy = &creator
	}
	return g, err
}

// FindGroup implements joining.Tx.
func (tx *Tx) FindGroup(id uuid.UUID) (joining.GroupInvitation, error) {
	return collectOne(tx.db.Table("group_invitations").Where("group_invitations.uuid = ?", id).
		Select(groupColumns).Joins(groupJoins),
		func(scan scanFunc) (joining.GroupInvitation, error) { return scanGroup(scan) })
}

// FindGroupForChange implements joining.Tx.
func (tx *Tx) FindGroupForChange(id uuid.UUID) (joining.GroupInvitation, error) {
	return tx.lockGroup(id, noKeyUpdate)
}

// FindGroupToTakeUp implements joining.Tx.
func (tx *Tx) FindGroupToTakeUp(id uuid.UUID) (joining.GroupInvitation, error) {
	return tx.lockGroup(id, "SHARE")
}

// lockGroup locks the row of a group invitation before anything is joined; see FindForChange. The row is locked at the first
// try already: to compare it when it is written is not enough, because a submission does not write it.
func (tx *Tx) lockGroup(id uuid.UUID, strength string) (joining.GroupInvitation, error) {
	row := tx.db.Table("group_invitations").Where("uuid = ?", id).Clauses(clause.Locking{Strength: strength})
	query := tx.db.Table("(?) AS group_invitations", row).Select(groupColumns + patternColumns).Joins(groupJoins)
	return collectOne(query, func(scan scanFunc) (joining.GroupInvitation, error) {
		var scope, customer []string
		found, err := scanGroup(scan, jsonStrings{&scope}, jsonStrings{&customer})
		if err == nil {
			found.Scope.UserEmailPatterns, found.Scope.Customer.UserEmailPatterns = scope, customer
		}
		return found, err
	})
}

// LockGroupsOfRemoved implements joining.Tx.
func (tx *Tx) LockGroupsOfRemoved(limit int) ([]joining.GroupInvitation, error) {
	rows := tx.db.Table("group_invitations").Where("is_active AND (expires IS NULL OR expires > ?)", tx.now).
		Where("scope_uuid IN (" + removedScopes + ")").Limit(limit).Clauses(clause.Locking{Strength: noKeyUpdate, Options: "SKIP LOCKED"})
	return collect(tx.db.Table("(?) AS group_invitations", rows).Select(groupColumns).Joins(groupJoins),
		func(scan scanFunc) (joining.GroupInvitation, error) { return scanGroup(scan) })
}

// ListGroups implements joining.Tx.
func (tx *Tx) ListGroups(q joining.Query) (rows []joining.GroupInvitation, total int, err error) {
	rows, err = collect(tx.groupList(q).page(tx, q.Window), func(scan scanFunc) (joining.GroupInvitation, error) {
		return scanGroup(scan, &total)
	})
	return rows, total, err
}

// CountGroups implements joining.Tx.
func (tx *Tx) CountGroups(q joining.Query) (int, error) { return tx.groupList(q).count(tx) }

func (tx *Tx) groupList(q joining.Query) listing {
	l := listing{table: "group_invitations", columns: clause.Expr{SQL: groupColumns}, joins: groupJoins}
	l.filters = []filter{
		equalUUID("group_invitations.customer_uuid", q.Customer),
		equalUUID("group_invitations.role_uuid", q.Role),
	}
	if q.IsPublic != nil {
		l.filters = append(l.filters, where("group_invitations.is_public = ?", *q.IsPublic))
	}
	if q.IsActive != nil {
		condition := groupIsActive
		if !*q.IsActive {
			condition = "NOT " + condition
		}
		l.filters = append(l.filters, where(condition, q.Now))
	}
	if q.RoleName != "" {
		l.filters = append(l.filters, tx.in("group_invitations.role_uuid", "roles", equal("roles.name", q.RoleName)))
	}
	l.filters = append(l.filters, tx.ofScope("group_invitations.scope_uuid", q.Scope))
	if q.ScopeType != "" {
		l.filters = append(l.filters, tx.in("group_invitations.scope_uuid", "scopes", equal("scopes.type", q.ScopeType)))
	}
	l.order = ordering(q.Order, directory.Order{By: directory.ByCreated, Descending: true}, map[directory.OrderBy][]key{
		directory.ByCreated: by("group_invitations.created"),
	})
	return l.inParts(tx.visibleGroups(q), []clause.Expr{always})
}

// visibleGroups returns the alternatives of which a group invitation in a visibility fulfils one: the same as
// joining.Visibility.Includes.
func (tx *Tx) visibleGroups(q joining.Query) []clause.Expr {
	if q.Visible.All {
		return []clause.Expr{always}
	}
	var others []clause.Expr
	if q.Visible.Public {
		others = append(others, clause.Expr{SQL: "group_invitations.is_public AND " + groupIsActive, Vars: []any{q.Now}})
	}
	if managed := tx.within(q.Visible.Managed, "group_invitations.scope_uuid", "group_invitations.customer_uuid"); len(managed) > 0 {
		others = append(others, both(oneOf(managed...), clause.Expr{SQL: groupIsThere}))
	}
	return tx.ownCustomers("group_invitations.customer_uuid", q.Visible.Customers, oneOf(others...))
}

// ofScope is a filter by a scope of a type; nil filters nothing.
func (tx *Tx) ofScope(column string, scope *invitation.ScopeRef) filter {
	if scope == nil {
		return all
	}
	return tx.in(column, "scopes", where("scopes.uuid = ? AND scopes.type = ?", scope.UUID, scope.Type))
}

// groupIsActive is the condition, with the present time as its argument, that a group invitation is active: the same as
// joining.GroupInvitation.IsActiveAt.
const groupIsActive = "(group_invitations.is_active" +
	" AND (group_invitations.expires IS NULL OR group_invitations.expires > ?) AND " + groupIsThere + ")"

// groupIsThere is the condition that neither the scope of a group invitation nor the scope's customer was removed.
const groupIsThere = "group_invitations.scope_uuid NOT IN (SELECT removed.uuid FROM scopes AS removed WHERE removed.is_removed)" +
	" AND group_invitations.customer_uuid NOT IN (SELECT removed.uuid FROM scopes AS removed WHERE removed.is_removed)"

// ListProjects implements joining.Tx.
func (tx *Tx) ListProjects(customer uuid.UUID, w directory.Window) (found []uuid.UUID, total int, err error) {
	rows, total, err := tx.ListScopes(directory.ScopeQuery{
		Type: directory.Project, Visible: directory.ScopeSet{All: true}, Customer: &customer, Window: w,
	})
	for _, row := range rows {
		found = append(found, row.UUID)
	}
	return found, total, err
}

// ListGroupEvents implements joining.Tx.
func (tx *Tx) ListGroupEvents(id uuid.UUID, requester *uuid.UUID, w directory.Window) ([]joining.Event, int, error) {
	var rows []struct {
		joining.Event `gorm:"embedded"`
		Total         int
	}
	query := tx.db.Table("group_invitation_events").Select("*, count(*) OVER () AS total").Where("group_invitation_uuid = ?", id)
	if requester != nil {
		query = query.Where("permission_request_uuid IS NULL OR permission_request_uuid IN (?)",
			tx.db.Table("permission_requests").Select("uuid").Where("group_invitation_uuid = ? AND created_by_uuid = ?", id, *requester))
	}
	err := query.Order("id DESC").Offset(w.Offset).Limit(w.Limit).Find(&rows).Error
	found, total := make([]joining.Event, 0, len(rows)), 0
	for _, row := range rows {
		row.Created = row.Created.UTC()
		found, total = append(found, row.Event), row.Total
	}
	return found, total, err
}

// MadeTime implements joining.Tx. It reads n entries of an index, however many events there are. SQLite recognizes the indexes
// group_invitation_events_user and group_invitation_events_submitted by the very text of their conditions.
func (tx *Tx) MadeTime(user uuid.UUID, group *uuid.UUID, n int) (time.Time, error) {
	query := tx.db.Where("user_uuid = ?", user)
	if group != nil {
		query = query.Where("event_type = 'submitted'").Where("group_invitation_uuid = ?", *group)
	} else {
		query = query.Where("event_type = 'created' OR event_type = 'submitted'")
	}
	var found []joining.Event
	err := query.Select("created").Order("created DESC").Offset(n - 1).Limit(1).Find(&found).Error
	if err != nil || len(found) == 0 {
		return time.Time{}, err
	}
	return found[0].Created.UTC(), nil
}
