package dirfile

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
)

// lookupSize is the number of records that are looked up at once.
const lookupSize = 5_000

// changes are the rows that Apply saves to bring the database in line with a file, and the report about them.
type changes struct {
	report Report

	roles          []directory.Role
	users          []directory.User
	tokens         []directory.APIToken
	revokedTokens  []uuid.UUID
	customers      []directory.Scope
	otherScopes    []directory.Scope
	memberships    []directory.Membership // existing rows, which free the place of new ones
	newMemberships []directory.Membership
}

// planner compares a file with the database, before anything is saved. So all problems are found before the first write,
// and no look-up reads rows that were written a moment ago, about which the database's query optimizer has no statistics.
type planner struct {
	problems
	changes changes

	tx   directory.FileTx
	file *File
	now  time.Time
	step func(records int) // reports that records have been planned

	// The rows that the names in the file refer to after the changes.
	roles  map[string]directory.Role
	users  map[string]target
	scopes []target // in the order of file.scopes
}

// target is the row that a record stands for. id is uuid.Nil after a problem with the record.
type target struct {
	id           uuid.UUID
	isNew        bool
	madeBySignIn bool // a user who chose the username by signing in, and has no record in the file
}

func (p *planner) plan() (changes, error) {
	for _, plan := range []func() error{p.planRoles, p.planUsers, p.planTokens, p.planScopes, p.planMemberships} {
		if err := plan(); err != nil {
			return changes{}, err
		}
	}
	return p.changes, p.err()
}

// matcher finds the rows that records stand for among the rows of a look-up by uuids and unique names.
type matcher[Row any] struct {
	rows    map[uuid.UUID]Row
	ids     map[string]uuid.UUID    // of the rows, by name
	matched map[uuid.UUID]*location // records of the rows that were matched so far
}

func newMatcher[Row any](
	found []Row, matched map[uuid.UUID]*location, keys func(Row) (id uuid.UUID, name string),
) matcher[Row] {
	m := matcher[Row]{make(map[uuid.UUID]Row, len(found)), make(map[string]uuid.UUID, len(found)), matched}
	for _, each := range found {
		id, name := keys(each)
		m.rows[id], m.ids[name] = each, id
	}
	return m
}

// match returns the row with the record's uuid or, for a record without a uuid, the row with its name. A new row gets the
// record's uuid, or a random one.
func (m matcher[Row]) match(p *problems, at *location, id uuid.UUID, key, name string) (Row, target) {
	named, taken := m.ids[name]
	switch {
	case id == uuid.Nil:
		id = named
	case taken && named != id:
		p.add(at, key, at.line, "%s belongs to another one already, %s", directory.Excerpt(name), named)
	}
	row, exists := m.rows[id]
	switch {
	case exists:
		claim(p, m.matched, at, id)
	case id == uuid.Nil:
		id = uuid.New()
	}
	return row, target{id: id, isNew: !exists}
}

// claim reports a second record that stands for the same row: one has its uuid, and the other its name.
func claim(p *problems, matched map[uuid.UUID]*location, at *location, id uuid.UUID) {
	if first, exists := matched[id]; exists {
		p.add(at, "", at.line, "is the same as %s: both mean %s", first.path(""), id)
		return
	}
	matched[id] = at
}

func (p *planner) planRoles() error {
	ids, names := []uuid.UUID{}, map[string]struct{}{}
	for _, each := range p.file.roles {
		ids, names[each.Name] = appendID(ids, each.UUID), struct{}{}
	}
	for _, each := range p.file.members {
		names[each.role] = struct{}{}
	}
	found, err := p.tx.FindRoles(ids, slices.Collect(maps.Keys(names)))
	if err != nil {
		return err
	}
	rows := newMatcher(found, map[uuid.UUID]*location{}, func(r directory.Role) (uuid.UUID, string) { return r.UUID, r.Name })
	p.roles = make(map[string]directory.Role, len(found)+len(p.file.roles))
	for _, each := range p.file.roles {
		row, to := rows.match(&p.problems, each.location, each.UUID, "name", each.Name)
		if !to.isNew && row.ScopeType != each.ScopeType {
			p.add(each.location, "scope_type", each.line, "can't be changed from %s to %s", row.ScopeType, each.ScopeType)
		}
		want := each.Role
		if !to.isNew {
			want = each.onto(row)
		}
		want.UUID = to.id
		same := row.Name == want.Name && row.NameFolded == want.NameFolded && row.Description == want.Description &&
			row.DescriptionFolded == want.DescriptionFolded && row.IsActive == want.IsActive &&
			slices.Equal(row.Permissions, want.Permissions)
		if p.changes.report.Roles.count(to.isNew, same) {
			p.changes.roles = append(p.changes.roles, want)
			if !to.isNew {
				p.noteRole(row, want)
			}
		}
		p.roles[want.Name] = want
	}
	for _, each := range found {
		if rows.matched[each.UUID] == nil { // a matched row has the name that the file gives it
			p.roles[each.Name] = each
		}
	}
	p.step(len(p.file.roles))
	return nil
}

func (p *planner) planUsers() error {
	matched := make(map[uuid.UUID]*location, len(p.file.users))
	p.users = make(map[string]target, len(p.file.users))
	for chunk := range slices.Chunk(p.file.users, lookupSize) {
		ids, names := []uuid.UUID{}, make([]string, 0, len(chunk))
		for _, each := range chunk {
			ids, names = appendID(ids, each.UUID), append(names, each.Username)
		}
		found, err := p.tx.FindUsers(ids, names)
		if err != nil {
			return err
		}
		rows := newMatcher(found, matched, func(u directory.User) (uuid.UUID, string) { return u.UUID, u.Username })
		for _, each := range chunk {
			row, to := rows.match(&p.problems, each.location, each.UUID, "username", each.Username)
			want := each.User
			want.UUID, want.Created = to.id, p.now
			if !to.isNew {
				want = each.onto(row)
			}
			if row.MadeBySignIn && each.UUID == uuid.Nil {
				p.add(each.location, "username", each.line,
					"%s is a user who made themselves by signing in; add their uuid (%s) to the record if you mean this user",
					directory.Excerpt(each.Username), row.UUID)
			}
			p.noteKeptStaff(each, row)
			if p.changes.report.Users.count(to.isNew, row == want) {
				p.changes.users = append(p.changes.users, want)
				if !to.isNew {
					p.noteUser(row, want)
				}
			}
			p.users[want.Username] = to
		}
		p.step(len(chunk))
	}
	return p.findMembers(matched)
}

// findMembers looks up the users that only memberships name. A matched user has the name that the file gives it, and not
// the name in the database.
func (p *planner) findMembers(matched map[uuid.UUID]*location) error {
	names := map[string]struct{}{}
	for _, each := range p.file.members {
		if _, known := p.users[each.user]; !known {
			names[each.user] = struct{}{}
		}
	}
	for chunk := range slices.Chunk(slices.Collect(maps.Keys(names)), lookupSize) {
		found, err := p.tx.FindUsers(nil, chunk)
		if err != nil {
			return err
		}
		for _, each := range found {
			if matched[each.UUID] == nil {
				p.users[each.Username] = target{id: each.UUID, madeBySignIn: each.MadeBySignIn}
			}
		}
	}
	return nil
}

// planTokens gives each user whose record has the key tokens the tokens of the record, and no others: a token that
// `invited token create` issued is revoked too.
func (p *planner) planTokens() error {
	for chunk := range slices.Chunk(p.file.users, lookupSize) {
		var (
			digests []string
			users   []uuid.UUID // who may have other tokens
		)
		wanted := map[string]bool{}
		for _, each := range chunk {
			for _, digest := range each.tokens {
				digests, wanted[digest] = append(digests, digest), true
			}
			if user := p.users[each.Username]; each.hasTokens && !user.isNew {
				users = append(users, user.id)
			}
		}
		found, err := p.tx.FindTokens(digests)
		if err != nil {
			return err
		}
		rows := make(map[string]directory.APIToken, len(found))
		for _, each := range found {
			rows[each.Digest] = each
		}
		revoked := map[uuid.UUID]int{}
		others, err := p.tx.TokensOf(users)
		if err != nil {
			return err
		}
		for _, each := range others {
			if !wanted[each.Digest] {
				p.changes.report.Tokens.Revoked++
				revoked[each.UserUUID]++
				p.changes.revokedTokens = append(p.changes.revokedTokens, each.UUID)
			}
		}
		for _, each := range chunk {
			if n := revoked[p.users[each.Username].id]; n > 0 {
				p.noteChange("user "+directory.Excerpt(each.Username), "tokens", strconv.Itoa(n)+" that the file does not have", "revoked")
			}
			for i, digest := range each.tokens {
				row, exists := rows[digest]
				want := directory.APIToken{
					Digest: digest, UUID: uuid.New(), UserUUID: p.users[each.Username].id, Name: "directory file", Created: p.now,
				}
				if exists {
					want.UUID, want.Created = row.UUID, row.Created
				}
				if exists && row.UserUUID != want.UserUUID {
					p.add(each.location, itemPath("tokens", i), each.line, "is the token of another user already")
				}
				if p.changes.report.Tokens.count(!exists, row.Expires == nil) {
					p.changes.tokens = append(p.changes.tokens, want)
				}
			}
		}
	}
	return nil
}

func (p *planner) planMemberships() error {
	for chunk := range slices.Chunk(p.file.members, lookupSize) {
		keys := make([]directory.MembershipKey, len(chunk))
		var lookups []directory.MembershipKey
		for i, each := range chunk {
			key, isNew := p.membershipKey(each)
			if keys[i] = key; !isNew {
				lookups = append(lookups, key)
			}
		}
		rows := map[directory.MembershipKey]directory.Membership{}
		if len(lookups) > 0 {
			found, err := p.tx.FindMemberships(lookups)
			if err != nil {
				return err
			}
			for _, each := range found {
				rows[directory.MembershipKey{User: each.UserUUID, Role: each.RoleUUID, Scope: each.ScopeUUID}] = each
			}
		}
		for i, each := range chunk {
			row, exists := rows[keys[i]]
			p.planMembership(each, keys[i], row, exists)
		}
		p.step(len(chunk))
	}
	return nil
}

// membershipKey returns the key of a member's row. isNew reports that no row can have the key.
func (p *planner) membershipKey(m memberRecord) (key directory.MembershipKey, isNew bool) {
	user, userKnown := p.users[m.user]
	if !userKnown {
		p.add(m.location, "user", m.line, "there is no user %s", directory.Excerpt(m.user))
	} else if user.madeBySignIn {
		p.add(m.location, "user", m.line,
			"%s is a user who made themselves by signing in; add a record with their uuid (%s) to users if you mean this user",
			directory.Excerpt(m.user), user.id)
	}
	role, roleKnown := p.roles[m.role]
	if kind := p.file.scopes[m.scope].Type; !roleKnown {
		p.add(m.location, "role", m.line, "there is no role %s", directory.Excerpt(m.role))
	} else if role.ScopeType != kind {
		p.add(m.location, "role", m.line, "%s is a role in a %s, not in a %s", directory.Excerpt(m.role), role.ScopeType, kind)
	}
	scope := p.scopes[m.scope]
	key = directory.MembershipKey{User: user.id, Role: role.UUID, Scope: scope.id}
	return key, user.isNew || scope.isNew || !userKnown || !roleKnown
}

func (p *planner) planMembership(m memberRecord, key directory.MembershipKey, row directory.Membership, exists bool) {
	wanted := m.isActive && !expired(m.expires, p.now)
	active := exists && !expired(row.Expires, p.now)
	record := func() string {
		return "member " + directory.Excerpt(m.user) + " of " + directory.Excerpt(p.file.scopes[m.scope].Name)
	}
	count := &p.changes.report.Memberships
	switch {
	case wanted && !active:
		if exists { // the unique index on active memberships still counts an expired row
			row.Revoked = &p.now
			p.changes.memberships = append(p.changes.memberships, row)
		}
		count.Created++
		p.changes.newMemberships = append(p.changes.newMemberships, directory.Membership{
			UUID: uuid.New(), UserUUID: key.User, RoleUUID: key.Role, ScopeUUID: key.Scope, Created: p.now, Expires: m.expires,
		})
	case !wanted && active:
		p.noteChange(record(), m.role, "active", "revoked")
		row.Revoked = &p.now
		count.Changed++
		p.changes.memberships = append(p.changes.memberships, row)
	case wanted && m.given.has("expiration_time") && !sameTime(row.Expires, m.expires):
		p.noteChange(record(), "expiration_time of "+m.role, shownTime(row.Expires), shownTime(m.expires))
		row.Expires = m.expires
		count.Changed++
		p.changes.memberships = append(p.changes.memberships, row)
	default:
		count.Unchanged++
	}
}

func expired(expires *time.Time, now time.Time) bool { return expires != nil && !expires.After(now) }

func sameTime(a, b *time.Time) bool {
	return (a == nil) == (b == nil) && (a == nil || a.Equal(*b))
}

func appendID(ids []uuid.UUID, id uuid.UUID) []uuid.UUID {
	if id == uuid.Nil {
		return ids
	}
	return append(ids, id)
}
