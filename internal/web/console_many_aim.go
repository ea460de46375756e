package web

import (
	"github.com/google/uuid"

	"invited/internal/bulk"
	"invited/internal/directory"
	"invited/internal/fault"
)

// aim is the role and the place that rows of a table invite to.
type aim struct {
	Role   string // as people call it; empty: each row names its own
	target        // Scope is nil where Place says it
	Place  string // of what can't be shown as a scope: what the rows say; empty: each row names its own
	Varies bool   // some rows name another
}

// PlaceName returns the place in few words; empty: each row names its own.
func (a aim) PlaceName() string {
	if a.Scope == nil {
		return a.Place
	}
	return placeName(*a.Scope)
}

// placeName returns the name of a scope, with that of its organization.
func placeName(scope directory.Scope) string {
	if organization := organizationOf(scope); organization != "" {
		return scope.Name + " of " + organization
	}
	return scope.Name
}

// aimReader finds the roles and places that rows name. It reads each of them once.
type aimReader struct {
	p      *pages
	r      *request
	roles  map[string]directory.Role // by name and UUID; nil: not read yet
	active []directory.Role          // of these
	scopes map[string]*directory.Scope
}

// aimReader returns an aimReader for one request.
func (p *pages) aimReader(r *request) *aimReader {
	return &aimReader{p: p, r: r, scopes: map[string]*directory.Scope{}}
}

// common returns the aim that most rows have.
func (a *aimReader) common(rows []bulk.Row) (out aim, err error) {
	roles, scopes := map[string]int{}, map[string]int{}
	for _, row := range rows {
		roles[row.Role]++
		scopes[row.Scope]++
	}
	out.Varies = len(roles) > 1 || len(scopes) > 1
	if out.Role, err = a.role(most(roles)); err != nil {
		return aim{}, err
	}
	out.Place = most(scopes)
	if out.Scope, err = a.scope(out.Place); out.Scope != nil {
		out.Place = ""
	}
	return out, err
}

// most returns the value that more than half of the rows have; empty: none.
func most(counts map[string]int) string {
	total := 0
	for _, n := range counts {
		total += n
	}
	for value, n := range counts {
		if 2*n > total {
			return value
		}
	}
	return ""
}

// fillIn says of rows that have another role or place than the others which.
func (a *aimReader) fillIn(rows []manyRow, others aim) error {
	for i := range rows {
		role, err := a.role(rows[i].Row.Role)
		if err != nil {
			return err
		}
		if role != others.Role {
			rows[i].OwnRole = role
		}
		scope, err := a.scope(rows[i].Row.Scope)
		switch {
		case err != nil:
			return err
		case scope == nil && rows[i].Row.Scope != others.Place:
			rows[i].OwnPlace = rows[i].Row.Scope
		case scope != nil && (others.Scope == nil || scope.UUID != others.Scope.UUID):
			rows[i].OwnPlace = placeName(*scope)
		}
	}
	return nil
}

// role returns what people call a role that a row names; what the row says, where there is no such role.
func (a *aimReader) role(text string) (string, error) {
	found, err := a.findRole(text)
	if err != nil || found.UUID == uuid.Nil {
		return text, err
	}
	return roleTitle(found), nil
}

// findRole returns the role that a row names. The zero Role: there is none, or there are too many to list.
func (a *aimReader) findRole(text string) (directory.Role, error) {
	if a.roles == nil {
		all, _, err := a.p.Directory.Roles(a.r.Context(), a.r.user.Actor, directory.RoleQuery{}, 1, maxChoices)
		if err != nil {
			return directory.Role{}, err
		}
		a.roles = map[string]directory.Role{}
		for _, each := range all {
			a.roles[each.Name], a.roles[each.UUID.String()] = each, each
			if each.IsActive {
				a.active = append(a.active, each)
			}
		}
	}
	if id, ok := directory.ParseUUID(text); ok {
		text = id.String()
	}
	return a.roles[text], nil
}

// scopeID returns the UUID of the scope that a row names with it, or with its address.
func scopeID(text string) (id uuid.UUID, ok bool) {
	if id, ok = directory.ParseUUID(text); !ok {
		_, id, ok = directory.ParseScopeURL(text)
	}
	return id, ok
}

// scope returns the scope that a row names; nil: the user sees none.
func (a *aimReader) scope(text string) (*directory.Scope, error) {
	if found, known := a.scopes[text]; known {
		return found, nil
	}
	kinds := directory.ScopeTypes
	if kind, _, isURL := directory.ParseScopeURL(text); isURL {
		kinds = []directory.ScopeType{kind}
	}
	id, ok := scopeID(text)
	a.scopes[text] = nil
	if !ok {
		return nil, nil
	}
	for _, kind := range kinds {
		found, err := a.p.Directory.Scope(a.r.Context(), a.r.user.Actor, kind, id)
		if err == nil {
			a.scopes[text] = &found
			break
		} else if !fault.Is(err, fault.KindNotFound) {
			return nil, err
		}
	}
	return a.scopes[text], nil
}

// of returns the aim of a stored bulk invitation, as its first results have it; nil: there are none yet.
func (a *aimReader) of(id uuid.UUID) (*aim, bulk.Bulk, error) {
	first, err := a.p.Bulk.Retrieve(a.r.Context(), a.r.user.Actor, id, nil, 1, consolePageSize)
	if err != nil || len(first.Results) == 0 {
		return nil, first.Bulk, err
	}
	rows := make([]bulk.Row, len(first.Results))
	for i, each := range first.Results {
		rows[i] = each.Row
	}
	found, err := a.common(rows)
	return &found, first.Bulk, err
}
