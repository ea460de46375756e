package waldur

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"invited/internal/directory"
)

// oldest is the oldest version of Waldur MasterMind that can be read. Invitations have had a role and a scope of any type since
// then.
const oldest = "January 2024"

// tables are the tables that are read, in the order in which they are looked for, with the columns that have to be there.
var tables = []struct {
	name     string
	columns  string
	optional bool // an installation may not have the table
}{
	{name: "core_user", columns: "id uuid username email is_staff is_active"},
	{name: "django_content_type", columns: "id app_label model"},
	{name: "structure_customer", columns: "id uuid name"},
	{name: "structure_project", columns: "id uuid name customer_id"},
	{name: "permissions_role", columns: "id uuid name content_type_id"},
	{name: "permissions_rolepermission", columns: "role_id permission"},
	{name: "permissions_userrole", columns: "id uuid user_id role_id content_type_id object_id is_active created"},
	{name: "users_invitation", columns: "id uuid created state email role_id content_type_id object_id created_by_id"},
	{name: "users_groupinvitation", columns: "id uuid created is_active role_id content_type_id object_id created_by_id"},
	{name: "users_permissionrequest", columns: "id uuid created state invitation_id created_by_id"},
	{name: "authtoken_token", columns: "key user_id created", optional: true},
	{name: "core_personalaccesstoken", columns: "uuid expires_at is_active", optional: true},
	{name: "marketplace_offering", columns: "id uuid name customer_id", optional: true},
	{name: "proposal_callmanagingorganisation", columns: "id customer_id", optional: true},
	{name: "proposal_call", columns: "id uuid name manager_id", optional: true},
	{name: "proposal_round", columns: "id call_id", optional: true},
	{name: "proposal_proposal", columns: "id uuid name round_id", optional: true},
}

// models are the models of Waldur that are scopes here, with the tables that they need.
var models = []struct {
	model  string // app and model, as content types have them
	kind   directory.ScopeType
	tables []string
}{
	{"structure.customer", directory.Customer, nil},
	{"structure.project", directory.Project, nil},
	{"marketplace.offering", directory.Offering, []string{"marketplace_offering"}},
	{"proposal.call", directory.Call, []string{"proposal_call", "proposal_callmanagingorganisation"}},
	{
		"proposal.proposal", directory.Proposal,
		[]string{"proposal_proposal", "proposal_round", "proposal_call", "proposal_callmanagingorganisation"},
	},
}

// source is Waldur's database at one moment.
type source struct {
	tx      *sql.Tx
	columns map[string][]string // by table; a table without columns is not there
	types   map[string]int64    // ids of content types, by model
}

// openSource looks for the tables and columns of Waldur. It returns an error for people where one is missing.
func openSource(ctx context.Context, tx *sql.Tx) (*source, error) {
	s := &source{tx: tx, columns: map[string][]string{}, types: map[string]int64{}}
	for _, table := range tables {
		err := forEachRow(ctx, s, `SELECT attname::text FROM pg_attribute
			WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped`, []any{table.name},
			func(scan scanFunc) error {
				var name string
				err := scan(&name)
				s.columns[table.name] = append(s.columns[table.name], name)
				return err
			})
		switch {
		case err != nil:
			return nil, err
		case len(s.columns[table.name]) == 0 && table.optional:
			continue
		case len(s.columns[table.name]) == 0:
			return nil, fmt.Errorf("this is no database of Waldur MasterMind of %s or newer: it has no table %s", oldest, table.name)
		}
		for column := range strings.FieldsSeq(table.columns) {
			if !s.has(table.name, column) {
				return nil, fmt.Errorf("this is no database of Waldur MasterMind of %s or newer: its table %s has no column %s",
					oldest, table.name, column)
			}
		}
	}
	return s, forEachRow(ctx, s, "SELECT id, app_label || '.' || model FROM django_content_type", nil, func(scan scanFunc) error {
		var id int64
		var model string
		err := scan(&id, &model)
		s.types[model] = id
		return err
	})
}

func (s *source) has(table, column string) bool { return slices.Contains(s.columns[table], column) }

func (s *source) hasTokens() bool { return len(s.columns["authtoken_token"]) > 0 }

// value is the expression for a column that older or newer versions may not have. It is never null.
func (s *source) value(table, alias, column, otherwise string) string {
	if !s.has(table, column) {
		return otherwise
	}
	return "COALESCE(" + alias + "." + column + ", " + otherwise + ")"
}

// optional is the expression for a column that older or newer versions may not have. It may be null.
func (s *source) optional(table, alias, column, kind string) string {
	if !s.has(table, column) {
		return "NULL::" + kind
	}
	return alias + "." + column
}

// list is the expression for a column with a JSON list, as text.
func (s *source) list(table, alias, column string) string {
	if !s.has(table, column) {
		return "'[]'"
	}
	return "COALESCE(" + alias + "." + column + "::text, '[]')"
}

// scopeType returns the type of scope that a model of Waldur is; empty: none.
func scopeType(model string) directory.ScopeType {
	for _, each := range models {
		if each.model == model {
			return each.kind
		}
	}
	return ""
}

// restrictions are the columns that say who may become a member of a scope, beside e-mail patterns.
var restrictions = []string{
	"user_affiliations", "user_identity_sources", "user_nationalities", "user_organization_types", "user_assurance_levels",
}

// restrictedBy is the expression for the names of the columns of a table that restrict who may become a member, beside e-mail
// patterns and the columns that are given.
func (s *source) restrictedBy(table, alias string, but ...string) string {
	parts := []string{"''"}
	for _, column := range restrictions {
		if s.has(table, column) && !slices.Contains(but, column) {
			parts = append(parts,
				fmt.Sprintf("CASE WHEN COALESCE(%s.%s::text, '[]') IN ('[]', 'null') THEN '' ELSE '%s ' END", alias, column, column))
		}
	}
	return strings.Join(parts, " || ")
}

// scopes is a query for all scopes of the types that there are here.
func (s *source) scopes() string {
	const order = "c.id, c.uuid::text, c.name"
	parts := map[directory.ScopeType]string{
		directory.Customer: "SELECT " + order + ", c.uuid::text, " +
			s.value("structure_customer", "c", "description", "''") + ", " + s.optional("structure_customer", "c", "created", "timestamptz") +
			", NULL::date, " + s.list("structure_customer", "c", "user_email_patterns") + ", FALSE, " +
			s.restrictedBy("structure_customer", "c") + ", %d, '%s' FROM structure_customer AS c",
		directory.Project: "SELECT " + order + ", o.uuid::text, " +
			s.value("structure_project", "c", "description", "''") + ", " + s.optional("structure_project", "c", "created", "timestamptz") +
			", " + s.optional("structure_project", "c", "start_date", "date") + ", " + s.list("structure_project", "c", "user_email_patterns") +
			", " + s.value("structure_project", "c", "is_removed", "FALSE") + ", " + s.restrictedBy("structure_project", "c") +
			", %d, '%s' FROM structure_project AS c LEFT JOIN structure_customer AS o ON o.id = c.customer_id",
		directory.Offering: "SELECT " + order + ", o.uuid::text, " +
			s.value("marketplace_offering", "c", "description", "''") + ", " + s.optional("marketplace_offering", "c", "created", "timestamptz") +
			", NULL::date, '[]', FALSE, ''" +
			", %d, '%s' FROM marketplace_offering AS c LEFT JOIN structure_customer AS o ON o.id = c.customer_id",
		directory.Call: "SELECT " + order + ", o.uuid::text, " +
			s.value("proposal_call", "c", "description", "''") + ", " + s.optional("proposal_call", "c", "created", "timestamptz") +
			", NULL::date, '[]', FALSE, ''" +
			", %d, '%s' FROM proposal_call AS c LEFT JOIN proposal_callmanagingorganisation AS m ON m.id = c.manager_id" +
			" LEFT JOIN structure_customer AS o ON o.id = m.customer_id",
		directory.Proposal: "SELECT " + order + ", o.uuid::text, " +
			s.value("proposal_proposal", "c", "description", "''") + ", " + s.optional("proposal_proposal", "c", "created", "timestamptz") +
			", NULL::date, '[]', FALSE, ''" +
			", %d, '%s' FROM proposal_proposal AS c LEFT JOIN proposal_round AS r ON r.id = c.round_id" +
			" LEFT JOIN proposal_call AS l ON l.id = r.call_id" +
			" LEFT JOIN proposal_callmanagingorganisation AS m ON m.id = l.manager_id" +
			" LEFT JOIN structure_customer AS o ON o.id = m.customer_id",
	}
	var union []string
	for _, each := range models {
		isMissing := func(table string) bool { return len(s.columns[table]) == 0 }
		if !slices.ContainsFunc(each.tables, isMissing) {
			union = append(union, fmt.Sprintf(parts[each.kind], s.types[each.model], each.kind))
		}
	}
	return "(SELECT * FROM (" + strings.Join(union, " UNION ALL ") + ") AS scopes (id, uuid, name, customer_uuid, description, created," +
		" start_date, patterns, is_removed, restricted_by, content_type_id, type))"
}

// target are the columns of the scope and the role of a row with the alias i, and targetJoins are the joins that they need.
const (
	targetColumns = "COALESCE(ct.app_label || '.' || ct.model, ''), COALESCE(s.type, ''), COALESCE(s.uuid, ''), COALESCE(s.is_removed, FALSE)," +
		" s.start_date, COALESCE(r.uuid::text, '')"
	targetJoins = " LEFT JOIN permissions_role AS r ON r.id = i.role_id LEFT JOIN django_content_type AS ct ON ct.id = i.content_type_id" +
		" LEFT JOIN %s AS s ON s.content_type_id = i.content_type_id AND s.id = i.object_id"
)

// count returns the number of rows that will be read.
func (s *source) count(ctx context.Context) (total int, err error) {
	for _, from := range []string{
		"permissions_role", "core_user", s.scopes() + " AS scopes", "permissions_userrole", "users_invitation", "users_groupinvitation",
		"users_permissionrequest",
	} {
		var rows int
		if err := s.tx.QueryRowContext(ctx, "SELECT count(*) FROM "+from).Scan(&rows); err != nil {
			return 0, explain(err)
		}
		total += rows
	}
	return total, nil
}

// scanFunc reads the columns of one row.
type scanFunc = func(into ...any) error

// forEachRow calls f for each row of a query.
func forEachRow(ctx context.Context, s *source, query string, args []any, f func(scanFunc) error) (err error) {
	rows, err := s.tx.QueryContext(ctx, query, args...)
	if err != nil {
		return explain(err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			return err
		}
	}
	return explain(rows.Err())
}

// inBatches reads the rows of a query and calls f with up to size of them at a time. The rows that are not read yet stay in
// Waldur's database.
func inBatches[Row any](
	ctx context.Context, s *source, size int, query string, read func(scanFunc) (Row, error), f func([]Row) error,
) error {
	var batch []Row
	err := forEachRow(ctx, s, query, nil, func(scan scanFunc) error {
		row, err := read(scan)
		if err != nil {
			return fmt.Errorf("reading Waldur's database: %w", err)
		}
		if batch = append(batch, row); len(batch) < size {
			return nil
		}
		err = f(batch)
		batch = nil
		return err
	})
	if err != nil || len(batch) == 0 {
		return err
	}
	return f(batch)
}

// explain says whose database an error is about.
func explain(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("reading Waldur's database: %w", err)
}
