package directory

import (
	"slices"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"

	"invited/internal/token"
)

// A decoder turns the YAML trees of a file into records, and collects what is wrong with them.
type decoder struct {
	problems

	file      *File
	customers int // customers read so far
	skipped   int // lines of the file that stand before the tree
	aliased   int // nodes that aliases stood for

	// What stood in the file so far.
	ids       map[identity]*where
	roles     map[string]*where
	users     map[string]*where
	scopes    map[scopeName]scopeRecord
	tokens    map[string]*where // by digest
	patterns  map[string]checkedPattern
	repeating map[string]string // one copy of each role name
}

// identity is what a record with a uuid is found by.
type identity struct {
	of string
	id uuid.UUID
}

// scopeName is what a scope without a uuid is found by.
type scopeName struct {
	customer int // place in File.scopes; none for a customer
	kind     ScopeType
	name     string
}

// none is the place of a customer's customer in File.scopes: its own is not known before it is found.
const none = -1

func newDecoder() *decoder {
	return &decoder{
		file: &File{}, ids: map[identity]*where{}, roles: map[string]*where{}, users: map[string]*where{},
		scopes: map[scopeName]scopeRecord{}, tokens: map[string]*where{}, patterns: map[string]checkedPattern{},
		repeating: map[string]string{},
	}
}

// top decodes one of the lists at the top of the file, or the next piece of it; false where there is no such list.
func (d *decoder) top(list string, value *yaml.Node) bool {
	switch list {
	case "roles":
		d.records(nil, list, value, len(d.file.roles), d.role)
	case "users":
		d.records(nil, list, value, len(d.file.users), d.user)
	case "customers":
		d.records(nil, list, value, d.customers, func(w *where, node *yaml.Node) {
			d.customers++
			d.scope(w, node, Customer, none)
		})
	default:
		return false
	}
	return true
}

func (d *decoder) role(w *where, node *yaml.Node) {
	r := roleRecord{where: w, Role: Role{IsActive: true, Permissions: []string{}}}
	d.mapping(w, node, "a role", []string{"name", "scope_type"}, func(key string, v *yaml.Node) bool {
		switch key {
		case "uuid":
			r.UUID = d.id(w, key, v, "role")
		case "name":
			r.Name = d.name(w, key, v)
			r.NameFolded = Fold(r.Name)
		case "description":
			r.Description = d.paragraphs(w, key, v)
			r.DescriptionFolded = Fold(r.Description)
		case "scope_type":
			r.ScopeType = d.scopeType(w, key, v, ScopeTypes)
		case "permissions":
			d.list(w, key, v, maxPermissions, func(key string, v *yaml.Node) {
				r.Permissions = append(r.Permissions, d.name(w, key, v))
			})
		case "is_active":
			r.IsActive = d.flag(w, key, v, true)
		default:
			return false
		}
		return true
	})
	d.once(d.roles, r.Name, w, "name")
	d.file.roles = append(d.file.roles, r)
}

func (d *decoder) user(w *where, node *yaml.Node) {
	u := userRecord{where: w, User: User{IsActive: true, NotificationsEnabled: true}}
	d.mapping(w, node, "a user", []string{"username"}, func(key string, v *yaml.Node) bool {
		switch key {
		case "uuid":
			u.UUID = d.id(w, key, v, "user")
		case "username":
			u.Username = d.name(w, key, v)
		case "full_name":
			u.FullName = d.text(w, key, v, maxFullName)
			u.FullNameFolded = Fold(u.FullName)
		case "email":
			u.Email = d.email(w, key, v)
			u.EmailFolded = Fold(u.Email)
		case "civil_number":
			u.CivilNumber = d.text(w, key, v, maxCivilNumber)
		case "image":
			u.Image = d.image(w, key, v)
		case "is_staff":
			u.IsStaff = d.flag(w, key, v, false)
		case "is_support":
			u.IsSupport = d.flag(w, key, v, false)
		case "is_active":
			u.IsActive = d.flag(w, key, v, true)
		case "notifications_enabled":
			u.NotificationsEnabled = d.flag(w, key, v, true)
		case "tokens":
			d.list(w, key, v, maxTokens, func(key string, v *yaml.Node) {
				if text := d.token(w, key, v); text != "" {
					digest := token.Digest(text)
					d.once(d.tokens, digest, w, key)
					u.tokens = append(u.tokens, digest)
				}
			})
		default:
			return false
		}
		return true
	})
	d.once(d.users, u.Username, w, "username")
	d.file.users = append(d.file.users, u)
}

// otherTypes are the types of the scopes that stand in a customer's list of scopes.
var otherTypes = []ScopeType{Offering, Call, Proposal}

// scope decodes a scope of a customer, whose type may be known from the list that it stands in.
func (d *decoder) scope(w *where, node *yaml.Node, kind ScopeType, customer int) {
	s := scopeRecord{where: w, customer: customer, Scope: Scope{Type: kind, UserEmailPatterns: []string{}}}
	place := len(d.file.scopes)
	d.file.scopes = append(d.file.scopes, s) // before the customer's own; filled in below
	what, required := "a "+string(kind), []string{"name"}
	if kind == "" {
		what, required = "a scope", []string{"type", "name"}
	}
	d.mapping(w, node, what, required, func(key string, v *yaml.Node) bool {
		switch {
		case key == "uuid":
			s.UUID = d.id(w, key, v, "scope")
		case key == "name":
			s.Name = d.name(w, key, v)
			s.NameFolded = Fold(s.Name)
		case key == "description":
			s.Description = d.paragraphs(w, key, v)
			s.DescriptionFolded = Fold(s.Description)
		case key == "user_email_patterns":
			s.UserEmailPatterns = d.emailPatterns(w, key, v)
		case key == "is_removed":
			s.IsRemoved = d.flag(w, key, v, false)
		case key == "members":
			d.members(w, v, place)
		case key == "start_date" && kind == Project:
			s.StartDate = d.day(w, key, v)
		case key == "projects" && kind == Customer:
			d.records(w, key, v, 0, func(w *where, node *yaml.Node) { d.scope(w, node, Project, place) })
		case key == "scopes" && kind == Customer:
			d.records(w, key, v, 0, func(w *where, node *yaml.Node) { d.scope(w, node, "", place) })
		case key == "type" && kind == "":
			s.Type = d.scopeType(w, key, v, otherTypes)
		default:
			return false
		}
		return true
	})
	d.unmistakable(s)
	d.file.scopes[place] = s
}

// unmistakable notes where two scopes have the same natural key, unless both have a uuid.
func (d *decoder) unmistakable(s scopeRecord) {
	if s.Name == "" || s.Type == "" {
		return
	}
	name := scopeName{s.customer, s.Type, s.Name}
	first, taken := d.scopes[name]
	if !taken {
		d.scopes[name] = s
	} else if s.UUID == uuid.Nil || first.UUID == uuid.Nil {
		d.add(s.where, "name", s.line, "is also the name of %s; give each its uuid", first.path(""))
	}
}

func (d *decoder) members(in *where, list *yaml.Node, scope int) {
	type held struct{ user, role string }
	seen := map[held]*where{}
	d.records(in, "members", list, 0, func(w *where, node *yaml.Node) {
		m := memberRecord{where: w, scope: scope, isActive: true}
		d.mapping(w, node, "a member", []string{"user", "role"}, func(key string, v *yaml.Node) bool {
			switch key {
			case "user":
				m.user = d.name(w, key, v)
			case "role":
				m.role = d.name(w, key, v)
			case "expiration_time":
				m.expires = d.moment(w, key, v)
			case "is_active":
				m.isActive = d.flag(w, key, v, true)
			default:
				return false
			}
			return true
		})
		if kept, repeats := d.repeating[m.role]; repeats {
			m.role = kept
		} else {
			d.repeating[m.role] = m.role
		}
		this := held{m.user, m.role}
		if first, twice := seen[this]; twice && m.user != "" && m.role != "" {
			d.add(w, "", w.line, "gives the same user the same role as %s", first.path(""))
		} else {
			seen[this] = w
		}
		d.file.members = append(d.file.members, m)
	})
}

// once notes where a record has the unique name of another; an empty one was noted already.
func (d *decoder) once(seen map[string]*where, name string, w *where, key string) {
	if name == "" {
		return
	}
	if first, taken := seen[name]; taken {
		d.add(w, key, w.line, "is the same as that of %s", first.path(""))
		return
	}
	seen[name] = w
}

// records decodes the items of a list whose first has the given index in the file.
func (d *decoder) records(in *where, list string, value *yaml.Node, first int, decode func(*where, *yaml.Node)) {
	for i, each := range d.items(in, list, value) {
		if d.enough() {
			return
		}
		decode(&where{in: in, list: list, index: first + i, line: d.lineOf(each)}, each)
	}
}

// list decodes the items of a list that are no records.
func (d *decoder) list(w *where, key string, value *yaml.Node, most int, decode func(key string, v *yaml.Node)) {
	items := d.items(w, key, value)
	if len(items) > most {
		d.add(w, key, d.lineOf(value), "has more than %d items", most)
		return
	}
	for i, each := range items {
		if d.enough() {
			return
		}
		decode(item(key, i), each)
	}
}

func (d *decoder) items(w *where, key string, value *yaml.Node) []*yaml.Node {
	node, ok := d.resolve(w, key, value)
	switch {
	case !ok || isNull(node):
		return nil
	case node.Kind != yaml.SequenceNode:
		d.add(w, key, d.lineOf(value), "must be a list, not %s", kindOf(node))
		return nil
	}
	return node.Content
}

// mapping decodes a record, key by key: decode tells whether it knows one.
func (d *decoder) mapping(
	w *where, value *yaml.Node, what string, required []string, decode func(key string, v *yaml.Node) bool,
) {
	node, ok := d.resolve(w, "", value)
	if !ok {
		return
	}
	if node.Kind != yaml.MappingNode {
		d.add(w, "", d.lineOf(value), "must be a mapping, not %s", kindOf(node))
		return
	}
	given := make([]string, 0, 16)
	for i := 0; i+1 < len(node.Content) && !d.enough(); i += 2 {
		key, v := node.Content[i], node.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			d.add(w, "", d.lineOf(key), "has a key that is no text")
		case slices.Contains(given, key.Value):
			d.add(w, key.Value, d.lineOf(key), "stands twice")
		case decode(key.Value, v):
			given = append(given, key.Value)
		default:
			d.add(w, shown(key.Value), d.lineOf(key), "is no key of %s", what)
		}
	}
	for _, each := range required {
		if !slices.Contains(given, each) {
			d.add(w, each, d.lineOf(value), "is missing")
		}
	}
}
