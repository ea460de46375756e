package dirfile

import (
	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/token"
)

// decoder turns the YAML nodes of a file into records, and collects the file's problems.
type decoder struct {
	problems

	file        *File
	customers   int // number of customers decoded so far
	linesBefore int // number of lines in the file before the current YAML document
	aliased     int // number of nodes that aliases have stood for so far

	// The records decoded so far, by what must be unique among them.
	ids         map[recordID]*location
	roles       map[string]*location // by name
	users       map[string]*location // by username
	scopes      map[scopeName]scopeRecord
	tokens      map[string]*location // by digest
	patternCost map[string]patternCost
}

// recordID identifies a record with a uuid.
type recordID struct {
	kind string
	id   uuid.UUID
}

// scopeName identifies a scope without a uuid.
type scopeName struct {
	customer int // index in File.scopes, or noCustomer
	kind     directory.ScopeType
	name     string
}

func newDecoder() *decoder {
	return &decoder{
		file: &File{}, ids: map[recordID]*location{}, roles: map[string]*location{}, users: map[string]*location{},
		scopes: map[scopeName]scopeRecord{}, tokens: map[string]*location{}, patternCost: map[string]patternCost{},
	}
}

// top decodes one of the file's lists, or the next piece of one. It reports false when the key is none of the lists.
func (d *decoder) top(v value) bool {
	switch v.key {
	case "roles":
		v.records(len(d.file.roles), d.role)
	case "users":
		v.records(len(d.file.users), d.user)
	case "customers":
		v.records(d.customers, func(v value) {
			d.customers++
			d.scope(v, directory.Customer, noCustomer)
		})
	default:
		return false
	}
	return true
}

func (d *decoder) role(v value) {
	r := roleRecord{location: v.at, Role: directory.Role{IsActive: true, Permissions: []string{}}}
	v.fields("a role", []string{"name", "scope_type"}, func(v value) bool {
		r.given.add(v.key)
		switch v.key {
		case "uuid":
			r.UUID = v.uuid("role")
		case "name":
			r.Name = v.name()
			r.NameFolded = directory.Fold(r.Name)
		case "description":
			r.Description = v.description()
			r.DescriptionFolded = directory.Fold(r.Description)
		case "scope_type":
			r.ScopeType = v.scopeType(directory.ScopeTypes)
		case "permissions":
			v.list(maxPermissions, func(v value) { r.Permissions = append(r.Permissions, v.permission()) })
		case "is_active":
			r.IsActive = v.flag(true)
		default:
			return false
		}
		return true
	})
	d.unique(d.roles, r.Name, v.at, "name")
	d.file.roles = append(d.file.roles, r)
}

func (d *decoder) user(v value) {
	u := userRecord{location: v.at, User: directory.User{IsActive: true, NotificationsEnabled: true}}
	v.fields("a user", []string{"username"}, func(v value) bool {
		u.given.add(v.key)
		switch v.key {
		case "uuid":
			u.UUID = v.uuid("user")
		case "username":
			u.Username = v.username()
		case "full_name":
			u.FullName = v.singleLine(maxFullName)
			u.FullNameFolded = directory.Fold(u.FullName)
		case "email":
			u.Email = v.email()
			u.EmailFolded = directory.FoldEmail(u.Email)
		case "civil_number":
			u.CivilNumber = v.civilNumber()
		case "image":
			u.Image = v.imageURL()
		case "is_staff":
			u.IsStaff = v.flag(false)
		case "is_support":
			u.IsSupport = v.flag(false)
		case "is_active":
			u.IsActive = v.access()
		case "kind":
			u.Kind = v.userKind()
		case "notifications_enabled":
			u.NotificationsEnabled = v.flag(true)
		case "tokens":
			u.hasTokens = true
			v.list(maxTokens, func(v value) {
				if key := v.apiToken(); key != "" {
					digest := token.Digest(key)
					d.unique(d.tokens, digest, v.at, v.key)
					u.tokens = append(u.tokens, digest)
				}
			})
		default:
			return false
		}
		return true
	})
	d.unique(d.users, u.Username, v.at, "username")
	d.file.users = append(d.file.users, u)
}

// otherTypes are the types that a customer's list "scopes" allows.
var otherTypes = []directory.ScopeType{directory.Offering, directory.Call, directory.Proposal}

// scope decodes a scope and everything in it. kind is empty when the scope's own key "type" has its type.
func (d *decoder) scope(v value, kind directory.ScopeType, customer int) {
	s := scopeRecord{
		location: v.at, customer: customer, Scope: directory.Scope{Type: kind, UserEmailPatterns: []string{}},
	}
	index := len(d.file.scopes)
	d.file.scopes = append(d.file.scopes, s) // reserves the place before the customer's other scopes
	what, required := "a "+string(kind), []string{"name"}
	if kind == "" {
		what, required = "a scope", []string{"type", "name"}
	}
	v.fields(what, required, func(v value) bool {
		s.given.add(v.key)
		switch {
		case v.key == "uuid":
			s.UUID = v.uuid("scope")
		case v.key == "name":
			s.Name = v.name()
			s.NameFolded, s.Slug = directory.Fold(s.Name), directory.Slug(s.Name)
		case v.key == "description":
			s.Description = v.description()
			s.DescriptionFolded = directory.Fold(s.Description)
		case v.key == "user_email_patterns":
			s.UserEmailPatterns = v.emailPatterns()
		case v.key == "is_removed":
			s.IsRemoved = v.flag(false)
		case v.key == "members":
			d.members(v, index)
		case v.key == "start_date" && kind == directory.Project:
			s.StartDate = v.date()
		case v.key == "projects" && kind == directory.Customer:
			v.records(0, func(v value) { d.scope(v, directory.Project, index) })
		case v.key == "scopes" && kind == directory.Customer:
			v.records(0, func(v value) { d.scope(v, "", index) })
		case v.key == "type" && kind == "":
			s.Type = v.scopeType(otherTypes)
		default:
			return false
		}
		return true
	})
	d.distinguishable(s)
	d.file.scopes[index] = s
}

// distinguishable reports a scope that has the type, name and customer of an earlier scope, unless both have a uuid.
func (d *decoder) distinguishable(s scopeRecord) {
	if s.Name == "" || s.Type == "" {
		return
	}
	name := scopeName{s.customer, s.Type, s.Name}
	first, exists := d.scopes[name]
	if !exists {
		d.scopes[name] = s
	} else if s.UUID == uuid.Nil || first.UUID == uuid.Nil {
		d.add(s.location, "name", s.line, "is also the name of %s; give each its uuid", first.path(""))
	}
}

func (d *decoder) members(v value, scope int) {
	type membership struct{ user, role string }
	seen := map[membership]*location{}
	v.records(0, func(v value) {
		m := memberRecord{location: v.at, scope: scope, isActive: true}
		v.fields("a member", []string{"user", "role"}, func(v value) bool {
			m.given.add(v.key)
			switch v.key {
			case "user":
				m.user = v.name()
			case "role":
				m.role = v.name()
			case "expiration_time":
				m.expires = v.timestamp()
			case "is_active":
				m.isActive = v.access()
			default:
				return false
			}
			return true
		})
		key := membership{m.user, m.role}
		if first, exists := seen[key]; exists && m.user != "" && m.role != "" {
			d.add(v.at, "", v.at.line, "gives the same user the same role as %s", first.path(""))
		} else {
			seen[key] = v.at
		}
		d.file.members = append(d.file.members, m)
	})
}

// unique reports a record whose name an earlier record has. An empty name has been reported before.
func (d *decoder) unique(seen map[string]*location, name string, at *location, key string) {
	if name == "" {
		return
	}
	if first, exists := seen[name]; exists {
		d.add(at, key, at.line, "is the same as that of %s", first.path(""))
		return
	}
	seen[name] = at
}
