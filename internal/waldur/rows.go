package waldur

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
)

// The rows of Waldur, as they are read. A uuid that is not there is uuid.Nil.
type (
	roleRow struct {
		id                uuid.UUID
		name, description string
		model             string // app and model of the scopes
		isActive          bool
		permissions       []string
	}
	userRow struct {
		id                                        uuid.UUID
		username, email, fullName, civilNumber    string
		isStaff, isSupport, isActive, getsNotices bool
		sharesEmail                               bool // with another active user
		joined                                    time.Time
		token                                     string // the API key itself; empty: none
		tokenCreated                              time.Time
		tokenLifetime                             time.Duration // 0: the token does not expire
	}
	scopeRow struct {
		id, customer      uuid.UUID
		kind              directory.ScopeType
		name, description string
		created           time.Time // zero: not known
		startDate         *time.Time
		patterns          []string
		isRemoved         bool
		restrictedBy      string // columns with restrictions that there are none of here
	}
	// targetRow is the role and the scope of a row.
	targetRow struct {
		model     string // app and model of the scope; empty: the row has no scope
		kind      directory.ScopeType
		scope     uuid.UUID // uuid.Nil: of a type that there is none of here, or gone
		isRemoved bool
		startDate *time.Time
		role      uuid.UUID
	}
	memberRow struct {
		targetRow
		id, user, createdBy uuid.UUID
		created             time.Time
		expires             *time.Time
	}
	invitationRow struct {
		targetRow
		id, createdBy                                                 uuid.UUID
		state, executionState, errorMessage                           string
		created                                                       time.Time
		email, civilNumber, fullName, nativeName, phone, organization string
		jobTitle, text                                                string
	}
	groupRow struct {
		targetRow
		id, createdBy, projectRole                                          uuid.UUID
		created                                                             time.Time
		isActive, isPublic, makesProjects, autoApprove, multiple, ownDetail bool
		nameTemplate, customText                                            string
		patterns, affiliations, sources                                     []string
		restrictedBy                                                        string
	}
	requestRow struct {
		id, group, createdBy, reviewedBy         uuid.UUID
		state                                    int
		created                                  time.Time
		reviewedAt                               *time.Time
		comment, projectName, projectDescription string
	}
)

// scanUUID scans a uuid, with or without hyphens.
type scanUUID struct{ *uuid.UUID }

// Scan implements sql.Scanner. What is no uuid is uuid.Nil.
func (i scanUUID) Scan(value any) error {
	*i.UUID = uuid.Nil
	if text, ok := value.(string); ok {
		if parsed, err := uuid.Parse(text); err == nil {
			*i.UUID = parsed
		}
	}
	return nil
}

// scanTime scans a time in UTC and whole microseconds. Null is the zero time.
type scanTime struct{ *time.Time }

// Scan implements sql.Scanner.
func (m scanTime) Scan(value any) error {
	var at sql.NullTime
	err := at.Scan(value)
	*m.Time = at.Time
	if at.Valid {
		*m.Time = at.Time.UTC().Truncate(time.Microsecond)
	}
	return err
}

// scanOptionalTime is scanTime, where null is nil.
type scanOptionalTime struct{ into **time.Time }

// Scan implements sql.Scanner.
func (m scanOptionalTime) Scan(value any) error {
	var at time.Time
	err := scanTime{&at}.Scan(value)
	*m.into = nil
	if value != nil {
		*m.into = &at
	}
	return err
}

// texts scans a JSON list as text. What is no text in the list is dropped.
type texts struct{ into *[]string }

// Scan implements sql.Scanner.
func (t texts) Scan(value any) error {
	var items []any
	if text, ok := value.(string); ok {
		if err := json.Unmarshal([]byte(text), &items); err != nil {
			items = nil // a JSON value of another kind
		}
	}
	*t.into = []string{}
	for _, each := range items {
		if text, ok := each.(string); ok {
			*t.into = append(*t.into, text)
		}
	}
	return nil
}

func (t *targetRow) columns() []any {
	return []any{&t.model, &t.kind, scanUUID{&t.scope}, &t.isRemoved, scanOptionalTime{&t.startDate}, scanUUID{&t.role}}
}

func (s *source) roles(ctx context.Context, size int, f func([]roleRow) error) error {
	first := ""
	if s.has("permissions_role", "is_system_role") {
		first = "r.is_system_role DESC, "
	}
	return inBatches(ctx, s, size, "SELECT r.uuid::text, r.name, "+s.value("permissions_role", "r", "description", "''")+", "+
		s.value("permissions_role", "r", "is_active", "TRUE")+", COALESCE(ct.app_label || '.' || ct.model, ''),"+
		" COALESCE((SELECT json_agg(DISTINCT p.permission ORDER BY p.permission) FROM permissions_rolepermission AS p"+
		" WHERE p.role_id = r.id)::text, '[]')"+
		" FROM permissions_role AS r LEFT JOIN django_content_type AS ct ON ct.id = r.content_type_id ORDER BY "+first+"r.id",
		func(scan scanFunc) (r roleRow, err error) {
			err = scan(scanUUID{&r.id}, &r.name, &r.description, &r.isActive, &r.model, texts{&r.permissions})
			return r, err
		}, f)
}

func (s *source) users(ctx context.Context, size int, withTokens bool, f func([]userRow) error) error {
	name := s.value("core_user", "u", "full_name", "''")
	if s.has("core_user", "first_name") && s.has("core_user", "last_name") {
		name = "u.first_name || ' ' || u.last_name"
	}
	more, join := "'', NULL::timestamptz", ""
	if withTokens && s.hasTokens() {
		more, join = "COALESCE(t.key, ''), t.created", " LEFT JOIN authtoken_token AS t ON t.user_id = u.id"
	}
	return inBatches(ctx, s, size, "SELECT u.uuid::text, u.username, COALESCE(u.email, ''), "+name+", "+
		s.value("core_user", "u", "civil_number", "''")+", u.is_staff, "+s.value("core_user", "u", "is_support", "FALSE")+", u.is_active, "+
		s.value("core_user", "u", "notifications_enabled", "TRUE")+", "+s.optional("core_user", "u", "date_joined", "timestamptz")+", "+
		s.value("core_user", "u", "token_lifetime", "0")+","+
		" u.email <> '' AND u.is_active AND count(*) FILTER (WHERE u.is_active) OVER (PARTITION BY lower(u.email)) > 1, "+more+" FROM core_user AS u"+join+" ORDER BY u.id",
		func(scan scanFunc) (u userRow, err error) {
			var lifetime int64
			err = scan(scanUUID{&u.id}, &u.username, &u.email, &u.fullName, &u.civilNumber, &u.isStaff, &u.isSupport, &u.isActive,
				&u.getsNotices, scanTime{&u.joined}, &lifetime, &u.sharesEmail, &u.token, scanTime{&u.tokenCreated})
			u.tokenLifetime = time.Duration(lifetime) * time.Second
			return u, err
		}, f)
}

func (s *source) scopeRows(ctx context.Context, size int, f func([]scopeRow) error) error {
	return inBatches(ctx, s, size, "SELECT uuid, COALESCE(customer_uuid, ''), type, name, COALESCE(description, ''), created, start_date,"+
		" patterns, is_removed, restricted_by FROM "+s.scopes()+" AS scopes ORDER BY type <> 'customer', type, id",
		func(scan scanFunc) (r scopeRow, err error) {
			err = scan(scanUUID{&r.id}, scanUUID{&r.customer}, &r.kind, &r.name, &r.description, scanTime{&r.created}, scanOptionalTime{&r.startDate},
				texts{&r.patterns}, &r.isRemoved, &r.restrictedBy)
			return r, err
		}, f)
}

// inForce is the condition that a role is held.
func (s *source) inForce() string {
	condition := "COALESCE(i.is_active, FALSE)"
	if s.has("permissions_userrole", "expiration_time") {
		condition += " AND (i.expiration_time IS NULL OR i.expiration_time > now())"
	}
	return condition
}

// members reads the roles that are held. Those of the same user, role and scope follow each other.
func (s *source) members(ctx context.Context, size int, f func([]memberRow) error) error {
	return inBatches(ctx, s, size, "SELECT i.uuid::text, u.uuid::text, COALESCE(cb.uuid::text, ''), i.created, "+
		s.optional("permissions_userrole", "i", "expiration_time", "timestamptz")+", "+targetColumns+
		" FROM permissions_userrole AS i JOIN core_user AS u ON u.id = i.user_id"+s.createdBy("permissions_userrole")+
		fmt.Sprintf(targetJoins, s.scopes())+" WHERE "+s.inForce()+" ORDER BY i.user_id, i.role_id, i.content_type_id, i.object_id, i.id",
		func(scan scanFunc) (m memberRow, err error) {
			err = scan(append([]any{scanUUID{&m.id}, scanUUID{&m.user}, scanUUID{&m.createdBy}, scanTime{&m.created}, scanOptionalTime{&m.expires}},
				m.columns()...)...)
			return m, err
		}, f)
}

// createdBy is the join of who made a row of a table.
func (s *source) createdBy(table string) string {
	if !s.has(table, "created_by_id") {
		return " LEFT JOIN core_user AS cb ON FALSE"
	}
	return " LEFT JOIN core_user AS cb ON cb.id = i.created_by_id"
}

// endedMembers reads the uuids of the roles that are not held any more.
func (s *source) endedMembers(ctx context.Context, size int, f func([]uuid.UUID) error) error {
	return inBatches(ctx, s, size, "SELECT i.uuid::text FROM permissions_userrole AS i WHERE NOT ("+s.inForce()+") ORDER BY i.id",
		func(scan scanFunc) (found uuid.UUID, err error) {
			return found, scan(scanUUID{&found})
		}, f)
}

// invitations reads invitations, the newest first.
func (s *source) invitations(ctx context.Context, size int, f func([]invitationRow) error) error {
	text := func(column string) string { return s.value("users_invitation", "i", column, "''") }
	return inBatches(ctx, s, size, "SELECT i.uuid::text, COALESCE(cb.uuid::text, ''), i.created, i.state, "+text("execution_state")+", "+
		text("error_message")+", i.email, "+text("civil_number")+", "+text("full_name")+", "+text("native_name")+", "+
		text("phone_number")+", "+text("organization")+", "+text("job_title")+", "+text("extra_invitation_text")+", "+targetColumns+
		" FROM users_invitation AS i LEFT JOIN core_user AS cb ON cb.id = i.created_by_id"+fmt.Sprintf(targetJoins, s.scopes())+
		" ORDER BY i.created DESC, i.id DESC",
		func(scan scanFunc) (i invitationRow, err error) {
			err = scan(append([]any{
				scanUUID{&i.id},
				scanUUID{&i.createdBy},
				scanTime{&i.created},
				&i.state, &i.executionState, &i.errorMessage, &i.email, &i.civilNumber,
				&i.fullName, &i.nativeName, &i.phone, &i.organization, &i.jobTitle, &i.text,
			}, i.columns()...)...)
			return i, err
		}, f)
}

func (s *source) groups(ctx context.Context, size int, f func([]groupRow) error) error {
	const table = "users_groupinvitation"
	flag := func(column string) string { return s.value(table, "i", column, "FALSE") }
	projectRole, join := "''", ""
	if s.has(table, "project_role_id") {
		projectRole, join = "COALESCE(pr.uuid::text, '')", " LEFT JOIN permissions_role AS pr ON pr.id = i.project_role_id"
	}
	return inBatches(ctx, s, size, "SELECT i.uuid::text, COALESCE(cb.uuid::text, ''), "+projectRole+", i.created, i.is_active, "+
		flag("is_public")+", "+flag("auto_create_project")+", "+flag("auto_approve")+", "+flag("allow_multiple_requests")+", "+
		flag("allow_custom_project_details")+", "+s.value(table, "i", "project_name_template", "''")+", "+
		s.value(table, "i", "custom_text", "''")+", "+s.list(table, "i", "user_email_patterns")+", "+
		s.list(table, "i", "user_affiliations")+", "+s.list(table, "i", "user_identity_sources")+", "+
		s.restrictedBy(table, "i", "user_affiliations", "user_identity_sources")+", "+targetColumns+
		" FROM users_groupinvitation AS i LEFT JOIN core_user AS cb ON cb.id = i.created_by_id"+join+fmt.Sprintf(targetJoins, s.scopes())+
		" ORDER BY i.id",
		func(scan scanFunc) (g groupRow, err error) {
			err = scan(append([]any{
				scanUUID{&g.id},
				scanUUID{&g.createdBy},
				scanUUID{&g.projectRole},
				scanTime{&g.created},
				&g.isActive, &g.isPublic, &g.makesProjects, &g.autoApprove,
				&g.multiple, &g.ownDetail, &g.nameTemplate, &g.customText,
				texts{&g.patterns},
				texts{&g.affiliations},
				texts{&g.sources},
				&g.restrictedBy,
			}, g.columns()...)...)
			return g, err
		}, f)
}

// requests reads permission requests, the oldest first.
func (s *source) requests(ctx context.Context, size int, f func([]requestRow) error) error {
	const table = "users_permissionrequest"
	reviewer := " LEFT JOIN core_user AS rb ON FALSE"
	if s.has(table, "reviewed_by_id") {
		reviewer = " LEFT JOIN core_user AS rb ON rb.id = i.reviewed_by_id"
	}
	return inBatches(ctx, s, size, "SELECT i.uuid::text, g.uuid::text, cb.uuid::text, COALESCE(rb.uuid::text, ''), i.state, i.created, "+
		s.optional(table, "i", "reviewed_at", "timestamptz")+", "+s.value(table, "i", "review_comment", "''")+", "+
		s.value(table, "i", "project_name", "''")+", "+s.value(table, "i", "project_description", "''")+
		" FROM users_permissionrequest AS i JOIN users_groupinvitation AS g ON g.id = i.invitation_id"+
		" JOIN core_user AS cb ON cb.id = i.created_by_id"+reviewer+" ORDER BY i.created, i.id",
		func(scan scanFunc) (r requestRow, err error) {
			err = scan(scanUUID{&r.id}, scanUUID{&r.group}, scanUUID{&r.createdBy}, scanUUID{&r.reviewedBy}, &r.state, scanTime{&r.created},
				scanOptionalTime{&r.reviewedAt}, &r.comment, &r.projectName, &r.projectDescription)
			return r, err
		}, f)
}

// personalTokens reads the uuids of the personal access tokens that work.
func (s *source) personalTokens(ctx context.Context, size int, f func([]uuid.UUID) error) error {
	if len(s.columns["core_personalaccesstoken"]) == 0 {
		return nil
	}
	return inBatches(ctx, s, size, "SELECT uuid::text FROM core_personalaccesstoken WHERE is_active AND expires_at > now() ORDER BY uuid",
		func(scan scanFunc) (found uuid.UUID, err error) {
			return found, scan(scanUUID{&found})
		}, f)
}
