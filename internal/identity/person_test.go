package identity

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/fault"
)

func TestWhichUserAPersonIs(t *testing.T) {
	t.Parallel()
	const refuses decision = -1
	active, inactive := &directory.User{IsActive: true}, &directory.User{}
	one, two := []directory.User{{}}, []directory.User{{}, {}}
	verified := Person{Email: "ina@university.example", EmailVerified: true}
	unverified := Person{Email: "ina@university.example"}
	for name, test := range map[string]struct {
		known  known
		person Person
		create CreateUsers
		want   decision
		words  string // of the refusal
	}{
		"own user":                       {known{own: active}, Person{}, CreateNone, useOwn, ""},
		"own user before a user's mail":  {known{own: active, sameAddress: one}, verified, CreateAny, useOwn, ""},
		"own user is inactive":           {known{own: inactive, sameAddress: one, invited: true}, verified, CreateAny, refuses, "inactive"},
		"own user is a service user":     {known{own: &directory.User{IsActive: true, Kind: directory.ServiceUser}}, verified, CreateAny, refuses, "signs in nowhere"},
		"the one user with the address":  {known{sameAddress: one}, verified, CreateNone, linkUser, ""},
		"address is not verified":        {known{sameAddress: one, invited: true}, unverified, CreateInvited, refuses, "no verified e-mail"},
		"no address":                     {known{}, Person{EmailVerified: true}, CreateInvited, refuses, "no verified e-mail"},
		"two users with the address":     {known{sameAddress: two}, verified, CreateInvited, refuses, "Another account here has your address"},
		"that user has another person":   {known{sameAddress: one, hasIdentity: true}, verified, CreateInvited, refuses, "Another account here"},
		"another person, invited":        {known{sameAddress: one, hasIdentity: true, invited: true}, verified, CreateInvited, refuses, "Another account"},
		"another person, and anybody":    {known{sameAddress: one, hasIdentity: true}, verified, CreateAny, refuses, "Another account"},
		"two users, and anybody":         {known{sameAddress: two}, verified, CreateAny, refuses, "Another account"},
		"two users, and nobody is made":  {known{sameAddress: two}, verified, CreateNone, refuses, "Another account"},
		"only inactive users":            {known{shutOut: true, invited: true}, verified, CreateAny, refuses, "was closed"},
		"invited":                        {known{invited: true}, verified, CreateInvited, makeUser, ""},
		"invited, and nobody is made":    {known{invited: true}, verified, CreateNone, refuses, "people who run this site"},
		"not invited":                    {known{}, verified, CreateInvited, refuses, "Ask whoever invited you"},
		"anybody":                        {known{}, verified, CreateAny, makeUser, ""},
		"anybody, without an address":    {known{}, Person{}, CreateAny, makeUser, ""},
		"anybody, address not verified":  {known{sameAddress: one}, unverified, CreateAny, makeUser, ""},
		"nobody, address not verified":   {known{sameAddress: one}, unverified, CreateNone, refuses, "people who run this site"},
		"a policy that does not exist":   {known{invited: true}, verified, "", refuses, "people who run this site"},
		"nobody is made, and is unknown": {known{}, verified, CreateNone, refuses, "people who run this site"},
	} {
		got, err := test.known.decide(test.person, test.create)
		if test.want == refuses {
			require.True(t, fault.Is(err, fault.KindForbidden) || fault.Is(err, fault.KindUnauthenticated), "%s: %v", name, err)
			require.ErrorContains(t, err, test.words, name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, test.want, got, name)
	}
}

func TestUserIsBroughtUpToDate(t *testing.T) {
	t.Parallel()
	before := directory.User{
		UUID: uuid.New(), Username: "ina", FullName: "Ina", FullNameFolded: "ina", Email: "old@x.example", EmailFolded: "old@x.example",
		CivilNumber: "1", IsActive: true,
	}
	yes, no := true, false
	changed := func(change func(*directory.User)) directory.User {
		u := before
		change(&u)
		return u
	}
	staff := changed(func(u *directory.User) { u.IsStaff = true })
	for name, test := range map[string]struct {
		before directory.User
		person Person
		gives  bool // the identity gave staff before
		free   bool // nobody else has the address
		want   directory.User
		given  bool
	}{
		"the issuer says nothing": {before, Person{EmailVerified: true}, false, true, before, false},
		"all of it": {
			before,
			Person{FullName: "Ina New", Email: "New@x.example", EmailVerified: true, CivilNumber: "2", Username: "other"},
			false, true,
			changed(func(u *directory.User) {
				u.FullName, u.FullNameFolded, u.CivilNumber = "Ina New", "ina new", "2"
				u.Email, u.EmailFolded = "New@x.example", "new@x.example"
			}), false,
		},
		"address not verified":       {before, Person{Email: "new@x.example"}, false, true, before, false},
		"address of somebody else":   {before, Person{Email: "new@x.example", EmailVerified: true}, false, false, before, false},
		"becomes staff":              {before, Person{Staff: &yes}, false, true, staff, true},
		"stays staff":                {staff, Person{Staff: &yes}, true, true, staff, true},
		"is staff no more":           {staff, Person{Staff: &no}, true, true, before, false},
		"staff by the directory":     {staff, Person{Staff: &no}, false, true, staff, false},
		"staff by both":              {staff, Person{Staff: &yes}, false, true, staff, false},
		"the issuer does not decide": {staff, Person{}, false, true, staff, false},
	} {
		got, identity := test.person.update(test.before, Identity{GivesStaff: test.gives}, test.free, now)
		require.Equal(t, test.want, got, name)
		require.Equal(t, Identity{GivesStaff: test.given, LastUsed: now}, identity, name)
	}
}

func TestNewUserOfAPerson(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		person          Person
		username, email string
	}{
		"username":         {Person{Username: " Ina.I ", Email: "Ina@x.example", EmailVerified: true, Subject: "s"}, "ina.i", "Ina@x.example"},
		"no username":      {Person{Email: "Ina@x.example", EmailVerified: true, Subject: "s"}, "ina@x.example", "Ina@x.example"},
		"only the subject": {Person{Subject: "S-1"}, "s-1", ""},
		"not verified":     {Person{Username: "ina", Email: "ina@x.example"}, "ina", ""},
		"bad texts":        {Person{Username: "a\nb", Email: "x\r\nBcc: y@z.example", EmailVerified: true, Subject: "s"}, "s", ""},
		"long text":        {Person{Username: strings.Repeat("x", 256), Subject: "s"}, "s", ""},
	} {
		got := test.person.clean().newUser(now)
		require.Equal(t, test.username, got.Username, name)
		require.Equal(t, test.email, got.Email, name)
		require.Equal(t, directory.FoldEmail(test.email), got.EmailFolded, name)
		require.True(t, got.IsActive, name)
		require.True(t, got.MadeBySignIn, name)
		require.False(t, got.IsStaff, name)
	}
}
