package directory

import (
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
)

// rows are what a look-up by uuids and unique names found, and which of them records mean so far.
type rows[T any] struct {
	byID   map[uuid.UUID]T
	byName map[string]T
	idOf   func(T) uuid.UUID
	meant  map[uuid.UUID]*where
}

func newRows[T any](found []T, meant map[uuid.UUID]*where, key func(T) (uuid.UUID, string)) rows[T] {
	r := rows[T]{
		byID: make(map[uuid.UUID]T, len(found)), byName: make(map[string]T, len(found)), meant: meant,
		idOf: func(row T) uuid.UUID { id, _ := key(row); return id },
	}
	for _, each := range found {
		id, name := key(each)
		r.byID[id], r.byName[name] = each, each
	}
	return r
}

// meantBy returns the row that a record means, and the uuid that its row has or gets.
func (r rows[T]) meantBy(p *problems, w *where, id uuid.UUID, key, name string) (row T, to target) {
	row, exists := r.byName[name]
	if id != uuid.Nil {
		if exists && r.idOf(row) != id {
			p.add(w, key, w.line, "%s belongs to another one already, %s", shown(name), r.idOf(row))
		}
		row, exists = r.byID[id]
	}
	switch {
	case exists:
		id = r.idOf(row)
		claim(p, r.meant, w, id)
	case id == uuid.Nil:
		id = uuid.New()
	}
	return row, target{id: id, isNew: !exists}
}

// claim notes where two records mean the same row, one by its uuid and one by its name.
func claim(p *problems, meant map[uuid.UUID]*where, w *where, id uuid.UUID) {
	if first, twice := meant[id]; twice {
		p.add(w, "", w.line, "is the same as %s: both mean %s", first.path(""), id)
		return
	}
	meant[id] = w
}

func (a *application) planRoles() error {
	ids, names := []uuid.UUID{}, map[string]struct{}{}
	for _, each := range a.file.roles {
		ids, names[each.Name] = appendID(ids, each.UUID), struct{}{}
	}
	for _, each := range a.file.members {
		names[each.role] = struct{}{}
	}
	found, err := a.tx.RolesBy(ids, slices.Collect(maps.Keys(names)))
	if err != nil {
		return err
	}
	there := newRows(found, map[uuid.UUID]*where{}, func(r Role) (uuid.UUID, string) { return r.UUID, r.Name })
	a.roles = make(map[string]Role, len(found)+len(a.file.roles))
	for _, each := range a.file.roles {
		row, to := there.meantBy(&a.problems, each.where, each.UUID, "name", each.Name)
		if !to.isNew && row.ScopeType != each.ScopeType {
			a.add(each.where, "scope_type", each.line, "can't be changed from %s to %s", row.ScopeType, each.ScopeType)
		}
		want := each.Role
		want.UUID = to.id
		same := row.Name == want.Name && row.NameFolded == want.NameFolded && row.Description == want.Description &&
			row.DescriptionFolded == want.DescriptionFolded && row.IsActive == want.IsActive && slices.Equal(row.Permissions, want.Permissions)
		if a.report.Roles.note(to.isNew, same) {
			a.saveRoles = append(a.saveRoles, want)
		}
		a.roles[want.Name] = want
	}
	for _, each := range found {
		if there.meant[each.UUID] == nil { // else it has the name that the file says
			a.roles[each.Name] = each
		}
	}
	a.step(len(a.file.roles))
	return nil
}

func (a *application) planUsers() error {
	meant := make(map[uuid.UUID]*where, len(a.file.users))
	a.users = make(map[string]target, len(a.file.users))
	for part := range slices.Chunk(a.file.users, lookedUp) {
		ids, names := []uuid.UUID{}, make([]string, 0, len(part))
		for _, each := range part {
			ids, names = appendID(ids, each.UUID), append(names, each.Username)
		}
		found, err := a.tx.UsersBy(ids, names)
		if err != nil {
			return err
		}
		there := newRows(found, meant, userKey)
		for _, each := range part {
			row, to := there.meantBy(&a.problems, each.where, each.UUID, "username", each.Username)
			want := each.User
			want.UUID, want.Created = to.id, a.now
			if !to.isNew {
				want.Created = row.Created
			}
			if a.report.Users.note(to.isNew, row == want) {
				a.saveUsers = append(a.saveUsers, want)
			}
			a.users[want.Username] = to
		}
		a.step(len(part))
	}
	return a.findMembers(meant)
}

func userKey(u User) (uuid.UUID, string) { return u.UUID, u.Username }

// findMembers looks up the users whom only memberships name. Those in meant have the names that the file says.
func (a *application) findMembers(meant map[uuid.UUID]*where) error {
	missing := map[string]struct{}{}
	for _, each := range a.file.members {
		if _, known := a.users[each.user]; !known {
			missing[each.user] = struct{}{}
		}
	}
	for part := range slices.Chunk(slices.Collect(maps.Keys(missing)), lookedUp) {
		found, err := a.tx.UsersBy(nil, part)
		if err != nil {
			return err
		}
		for _, each := range found {
			if meant[each.UUID] == nil {
				a.users[each.Username] = target{id: each.UUID}
			}
		}
	}
	return nil
}

func (a *application) planTokens() error {
	for part := range slices.Chunk(a.file.users, lookedUp) {
		var digests []string
		for _, each := range part {
			digests = append(digests, each.tokens...)
		}
		if len(digests) == 0 {
			continue
		}
		found, err := a.tx.TokensBy(digests)
		if err != nil {
			return err
		}
		there := make(map[string]APIToken, len(found))
		for _, each := range found {
			there[each.Digest] = each
		}
		for _, each := range part {
			for i, digest := range each.tokens {
				row, exists := there[digest]
				want := APIToken{Digest: digest, UserUUID: a.users[each.Username].id, Created: a.now}
				if exists && row.UserUUID != want.UserUUID {
					a.add(each.where, item("tokens", i), each.line, "is the token of another user already")
				}
				if a.report.Tokens.note(!exists, row.Expires == nil) {
					a.saveTokens = append(a.saveTokens, want)
				}
			}
		}
	}
	return nil
}

func (a *application) planMemberships() error {
	for part := range slices.Chunk(a.file.members, lookedUp) {
		wanted := make([]MembershipKey, len(part))
		var known []MembershipKey
		for i, each := range part {
			key, isNew := a.membership(each)
			if wanted[i] = key; !isNew {
				known = append(known, key)
			}
		}
		there := map[MembershipKey]Membership{}
		if len(known) > 0 {
			found, err := a.tx.MembershipsBy(known)
			if err != nil {
				return err
			}
			for _, each := range found {
				there[MembershipKey{each.UserUUID, each.RoleUUID, each.ScopeUUID}] = each
			}
		}
		for i, each := range part {
			row, exists := there[wanted[i]]
			a.planMembership(each, wanted[i], row, exists)
		}
		a.step(len(part))
	}
	return nil
}

// membership finds what a membership is about; isNew where no row can be about the same.
func (a *application) membership(m memberRecord) (key MembershipKey, isNew bool) {
	user, known := a.users[m.user]
	if !known {
		a.add(m.where, "user", m.line, "there is no user %s", shown(m.user))
	}
	role, given := a.roles[m.role]
	if kind := a.file.scopes[m.scope].Type; !given {
		a.add(m.where, "role", m.line, "there is no role %s", shown(m.role))
	} else if role.ScopeType != kind {
		a.add(m.where, "role", m.line, "%s is a role in a %s, not in a %s", shown(m.role), role.ScopeType, kind)
	}
	scope := a.scopes[m.scope]
	return MembershipKey{user.id, role.UUID, scope.id}, user.isNew || scope.isNew || !known || !given
}

func (a *application) planMembership(m memberRecord, key MembershipKey, row Membership, exists bool) {
	want := m.isActive && !over(m.expires, a.now)
	active := exists && !over(row.Expires, a.now)
	switch {
	case want && !active:
		if exists { // the index on active memberships does not know that its time is over
			row.Revoked = &a.now
			a.saveMemberships = append(a.saveMemberships, row)
		}
		a.report.Memberships.Created++
		a.saveNewMemberships = append(a.saveNewMemberships, Membership{
			UUID: uuid.New(), UserUUID: key.User, RoleUUID: key.Role, ScopeUUID: key.Scope, Created: a.now, Expires: m.expires,
		})
	case !want && active:
		row.Revoked = &a.now
		a.report.Memberships.Changed++
		a.saveMemberships = append(a.saveMemberships, row)
	case want && !sameTime(row.Expires, m.expires):
		row.Expires = m.expires
		a.report.Memberships.Changed++
		a.saveMemberships = append(a.saveMemberships, row)
	default:
		a.report.Memberships.Unchanged++
	}
}

// over tells whether the end of a membership has come.
func over(end *time.Time, now time.Time) bool { return end != nil && !end.After(now) }

func sameTime(a, b *time.Time) bool {
	return (a == nil) == (b == nil) && (a == nil || a.Equal(*b))
}

func appendID(ids []uuid.UUID, id uuid.UUID) []uuid.UUID {
	if id == uuid.Nil {
		return ids
	}
	return append(ids, id)
}
