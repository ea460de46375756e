package waldur

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"

	"invited/internal/directory"
	"invited/internal/invitation"
	"invited/internal/joining"
	"invited/internal/token"
)

var (
	today   = time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
	someone = uuid.MustParse("a0000000-0000-4000-8000-000000000001")
)

const (
	day  = 24 * time.Hour
	week = 7 * day
)

func TestMapUser(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		row   userRow
		want  directory.User
		notes []string
		left  string
	}{
		"ordinary": {
			row: userRow{
				id: someone, username: "olivia", email: "Olivia@Acme.example", fullName: "Olivia Owner", civilNumber: "1", isStaff: true,
				isActive: true, getsNotices: true, joined: today,
			},
			want: directory.User{
				UUID: someone, Username: "olivia", Email: "Olivia@Acme.example", EmailFolded: "olivia@acme.example",
				FullName: "Olivia Owner", FullNameFolded: "olivia owner", CivilNumber: "1", IsStaff: true, IsActive: true,
				NotificationsEnabled: true, Created: today,
			},
		},
		"an address in quotes": {
			row:   userRow{id: someone, username: "odd", email: `"odd one"@acme.example`},
			want:  directory.User{UUID: someone, Username: "odd"},
			notes: []string{alteredNoAddress},
		},
		"an address that another user has": {
			row:   userRow{id: someone, username: "sue", email: "sam@staff.example", sharesEmail: true},
			want:  directory.User{UUID: someone, Username: "sue", Email: "sam@staff.example", EmailFolded: "sam@staff.example"},
			notes: []string{alteredShared},
		},
		"no address": {row: userRow{id: someone, username: "sue"}, want: directory.User{UUID: someone, Username: "sue"}},
		"a name with line breaks": {
			row:   userRow{id: someone, username: "eve", fullName: " Eve\r\nBcc: all "},
			want:  directory.User{UUID: someone, Username: "eve", FullName: "Eve  Bcc: all", FullNameFolded: "eve  bcc: all"},
			notes: []string{alteredText},
		},
		"a long name": {
			row:   userRow{id: someone, username: "long", fullName: strings.Repeat("Ü", 201)},
			want:  directory.User{UUID: someone, Username: "long", FullName: strings.Repeat("Ü", 100), FullNameFolded: strings.Repeat("ü", 100)},
			notes: []string{alteredText},
		},
		"a civil number with blanks": {
			row:   userRow{id: someone, username: "ina", civilNumber: " 386\u200b0101 0000"},
			want:  directory.User{UUID: someone, Username: "ina", CivilNumber: "38601010000"},
			notes: []string{alteredCivilNumber},
		},
		"no username":          {row: userRow{id: someone, username: "  "}, want: directory.User{UUID: someone}, left: leftUsername},
		"an invisible letter":  {row: userRow{id: someone, username: "o\u200blivia"}, want: directory.User{UUID: someone, Username: "o\u200blivia"}, left: leftUsername},
		"no uuid":              {row: userRow{username: "olivia"}, want: directory.User{Username: "olivia"}, left: leftNoUUID},
		"a username with tabs": {row: userRow{id: someone, username: "o\tlivia"}, want: directory.User{UUID: someone, Username: "o\tlivia"}, left: leftUsername},
	} {
		got, notes, left := mapUser(test.row)
		assert.Equal(t, test.want, got, name)
		assert.Equal(t, test.notes, notes, name)
		assert.Equal(t, test.left, left, name)
	}
}

func TestMapToken(t *testing.T) {
	t.Parallel()
	const key = "0123456789abcdef0123456789abcdef01234567"
	for name, test := range map[string]struct {
		row     userRow
		expires *time.Time
		left    string
	}{
		"for ever":         {row: userRow{isActive: true, tokenCreated: today.Add(-1000 * day)}},
		"for an hour":      {row: userRow{isActive: true, tokenCreated: today, tokenLifetime: time.Hour}, expires: new(today.Add(time.Hour))},
		"until today":      {row: userRow{isActive: true, tokenCreated: today.Add(-time.Hour), tokenLifetime: time.Hour}, expires: &today, left: leftTokenExpired},
		"of somebody gone": {row: userRow{tokenCreated: today}, left: leftTokenUser},
	} {
		test.row.id, test.row.token = someone, key
		got, left := mapToken(test.row, today)
		assert.Equal(t, test.left, left, name)
		assert.Equal(t, test.expires, got.Expires, name)
		assert.Equal(t, token.Digest(key), got.Digest, name)
		again, _ := mapToken(test.row, today)
		assert.Equal(t, got.UUID, again.UUID, "the id depends on the token")
	}
}

func TestMapPatterns(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		rows, want []string
		isAltered  bool
	}{
		"none":          {want: []string{}},
		"ordinary":      {rows: []string{` .*@acme\.example `, ""}, want: []string{`.*@acme\.example`}},
		"looks ahead":   {rows: []string{"(?=a)b", "(?!a)b", `a@b\.c`}, want: []string{matchesNobody, `a@b\.c`}, isAltered: true},
		"too expensive": {rows: []string{"((a{50}){50}){50}"}, want: []string{matchesNobody}, isAltered: true},
		"too long":      {rows: []string{strings.Repeat("a", 501)}, want: []string{matchesNobody}, isAltered: true},
	} {
		got, notes := mapPatterns(test.rows)
		assert.Equal(t, test.want, got, name)
		assert.Equal(t, test.isAltered, notes != nil, name)
	}
	nobody := directory.Scope{Type: directory.Project, UserEmailPatterns: []string{matchesNobody}}
	for _, each := range []string{"", "a@b.example", "ü@b.example"} {
		assert.Equal(t, directory.Project, nobody.RefusesEmail(each), "%q", each)
	}
	_, err := directory.EmailPatternCost(matchesNobody)
	assert.NoError(t, err)
}

func TestMapInvitation(t *testing.T) {
	t.Parallel()
	project := directory.Scope{UUID: uuid.New(), Type: directory.Project, CustomerUUID: uuid.New()}
	later := project
	later.StartDate = new(today.Add(10 * day))
	started := project
	started.StartDate = new(today.Add(-day))
	customer := directory.Scope{UUID: uuid.New(), Type: directory.Customer}
	role := directory.Role{UUID: uuid.New(), ScopeType: directory.Project}
	for name, test := range map[string]struct {
		state     string
		execution string
		age       time.Duration
		waldur    time.Duration // lifetime in Waldur; 0: as here
		scope     *directory.Scope
		email     string
		removed   bool

		want     invitation.State
		expires  *time.Time
		reminded bool
		delivery invitation.ExecutionState
		notes    []string
		left     string
	}{
		"pending":                   {state: "pending", age: day, want: invitation.Pending},
		"pending to the last":       {state: "pending", age: week - time.Microsecond, want: invitation.Pending, reminded: true},
		"pending and over":          {state: "pending", age: week, want: invitation.Expired, notes: []string{alteredExpired}},
		"requested and over":        {state: "requested", age: week, want: invitation.Expired, notes: []string{alteredExpired}},
		"longer in Waldur":          {state: "pending", age: 8 * day, waldur: 30 * day, want: invitation.Pending, expires: new(today.Add(22 * day))},
		"shorter in Waldur":         {state: "pending", age: 2 * day, waldur: day, want: invitation.Expired, notes: []string{alteredExpired}},
		"shorter, and waits":        {state: "requested", age: time.Hour, waldur: day, want: invitation.Requested, expires: new(today.Add(23 * time.Hour)), delivery: invitation.Scheduled},
		"its project has started":   {state: "pending", age: 8 * day, scope: &started, want: invitation.Pending},
		"waits for its project":     {state: "project", age: 100 * day, waldur: 30 * day, scope: &later, want: invitation.Project, delivery: invitation.Scheduled},
		"accepted long ago":         {state: "accepted", age: 1000 * day, waldur: 30 * day, want: invitation.Accepted},
		"not sent":                  {state: "pending", execution: "Scheduled", want: invitation.Pending, delivery: invitation.Erred, notes: []string{alteredNotSent}},
		"being sent":                {state: "pending", execution: "Processing", want: invitation.Pending, delivery: invitation.Erred, notes: []string{alteredNotSent}},
		"not sent, and no matter":   {state: "canceled", execution: "Processing", want: invitation.Canceled, delivery: invitation.Processing},
		"failed":                    {state: "pending", execution: "Erred", want: invitation.Pending, delivery: invitation.Erred},
		"an unknown delivery":       {state: "pending", execution: "Lost", want: invitation.Pending},
		"into a removed project":    {state: "pending", removed: true, want: invitation.Canceled, notes: []string{alteredRemoved}},
		"waits for a removed one":   {state: "project", removed: true, want: invitation.Canceled, notes: []string{alteredRemoved}},
		"accepted, then removed":    {state: "accepted", removed: true, want: invitation.Accepted},
		"an unknown state":          {state: "frozen", left: leftState},
		"an address without domain": {state: "pending", email: "nobody", left: leftAddress},
		"two addresses":             {state: "pending", email: "a@b.example,c@d.example", left: leftAddress},
		"a role of another type":    {state: "pending", scope: &customer, left: leftMisfit},
	} {
		row := invitationRow{
			id: someone, state: test.state, executionState: "OK", created: today.Add(-test.age), email: "ina@university.example", errorMessage: "Oh",
		}
		if test.execution != "" {
			row.executionState = test.execution
		}
		if test.email != "" {
			row.email = test.email
		}
		row.isRemoved = test.removed
		if test.scope == nil {
			test.scope = &project
		}
		i := Import{Lifetime: week, WaldurLifetime: week}
		if test.waldur > 0 {
			i.WaldurLifetime = test.waldur
		}
		got, notes, left := i.mapInvitation(row, role, *test.scope, today)
		assert.Equal(t, test.left, left, name)
		if left != "" {
			continue
		}
		if test.delivery == "" {
			test.delivery = invitation.OK
		}
		assert.Equal(t, test.want, got.StoredState, name)
		assert.Equal(t, test.want, got.StateAt(today, week), name+": no sweep has anything to end")
		assert.Equal(t, test.expires, got.ExpiresAt, name)
		assert.Equal(t, test.reminded, got.Reminded, name)
		assert.Equal(t, test.delivery, got.ExecutionState, name)
		assert.Equal(t, test.delivery == invitation.Erred, got.ErrorMessage != "", name)
		assert.Equal(t, test.notes, notes, name)
	}
}

func TestMapGroup(t *testing.T) {
	t.Parallel()
	customer := directory.Scope{UUID: someone, Type: directory.Customer, CustomerUUID: someone}
	project := directory.Scope{UUID: uuid.New(), Type: directory.Project, CustomerUUID: someone}
	owner := directory.Role{UUID: uuid.New(), ScopeType: directory.Customer}
	member := directory.Role{UUID: uuid.New(), ScopeType: directory.Project}
	for name, test := range map[string]struct {
		row    groupRow
		role   directory.Role
		scope  directory.Scope
		active bool
		auto   bool
		makes  bool
		notes  []string
		left   string
	}{
		"into a project":          {row: groupRow{isActive: true, autoApprove: true}, role: member, scope: project, active: true, auto: true},
		"into a removed project":  {row: groupRow{isActive: true, targetRow: targetRow{isRemoved: true}}, role: member, scope: project},
		"makes projects":          {row: groupRow{makesProjects: true}, role: member, scope: customer, makes: true},
		"a role of another type":  {role: owner, scope: project, left: leftMisfit},
		"a member of no projects": {role: member, scope: customer, left: leftMisfit},
		"restricted":              {row: groupRow{restrictedBy: "user_nationalities "}, role: owner, scope: customer, notes: []string{alteredRestricted + "user_nationalities"}},
		"approves the restricted": {row: groupRow{restrictedBy: "user_nationalities ", autoApprove: true}, role: owner, scope: customer, notes: []string{alteredNoApproval + "user_nationalities"}},
	} {
		test.row.id = someone
		got, notes, left := mapGroup(test.row, test.role, nil, test.scope)
		assert.Equal(t, test.left, left, name)
		assert.Equal(t, test.notes, notes, name)
		if left == "" {
			assert.Equal(t, []bool{test.active, test.auto, test.makes}, []bool{got.NotCanceled, got.AutoApprove, got.MakesProjects}, name)
		}
	}
}

func TestMapRequest(t *testing.T) {
	t.Parallel()
	for number, want := range map[int]joining.State{1: joining.Draft, 2: joining.Pending, 3: joining.Approved, 4: joining.Rejected, 5: joining.Canceled, 6: ""} {
		got, _, left := mapRequest(requestRow{id: someone, state: number}, joining.GroupInvitation{})
		assert.Equal(t, want, got.State)
		assert.Equal(t, want == "", left == leftState)
	}
}

func TestRenamed(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"PROJECT.MEMBER", strings.Repeat("x", 255)} {
		got := renamed(directory.Role{UUID: someone, Name: name})
		assert.True(t, strings.HasSuffix(got.Name, " (a0000000)"), got.Name)
		assert.LessOrEqual(t, len(got.Name), 255)
		assert.Equal(t, directory.Fold(got.Name), got.NameFolded)
	}
}
