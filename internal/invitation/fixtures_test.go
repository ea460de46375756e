package invitation

import (
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
)

const (
	testLifetime = 7 * 24 * time.Hour
	day          = 24 * time.Hour
)

// testTime is the time of every decision in the tests of this package.
var testTime = time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)

// testID returns a fixed UUID.
func testID(n byte) uuid.UUID { return uuid.UUID{6: 0x40, 8: 0x80, 15: n} }

// people are the users of the tests.
var people = struct{ staff, creator, guest directory.User }{
	staff:   testUser(1, "sam", "Sam Staff", true),
	creator: testUser(2, "cleo", "Cleo Creator", false),
	guest:   testUser(3, "gil", "Gil Guest", false),
}

func testUser(n byte, username, fullName string, staff bool) directory.User {
	return directory.User{
		UUID: testID(n), Username: username, FullName: fullName,
		Email: username + "@acme.example", EmailFolded: username + "@acme.example",
		CivilNumber: "civil-" + username, IsStaff: staff, IsActive: true,
	}
}

// testRole is a role for projects.
var testRole = directory.Role{UUID: testID(10), Name: "PROJECT.ADMIN", ScopeType: directory.Project, IsActive: true}

// The scopes of the tests.

func testCustomer() directory.Scope {
	return directory.Scope{UUID: testID(20), CustomerUUID: testID(20), Type: directory.Customer, Name: "Acme"}
}

// testProject returns a project that has no start date.
func testProject() directory.Scope {
	customer := testCustomer()
	return directory.Scope{
		UUID: testID(21), CustomerUUID: customer.UUID, Customer: &customer, Type: directory.Project, Name: "Apollo",
	}
}

// startingAt returns a project that starts at a time.
func startingAt(start time.Time) directory.Scope {
	s := testProject()
	s.StartDate = &start
	return s
}

func removed(s directory.Scope) directory.Scope {
	s.IsRemoved = true
	return s
}

func customerRemoved(s directory.Scope) directory.Scope {
	customer := removed(*s.Customer)
	s.Customer = &customer
	return s
}

// testInvitation returns an invitation from the creator to the guest, as its row is. Every column that a decision can
// change has a value that the column does not get by default.
func testInvitation(state State, created time.Time, scope directory.Scope) Invitation {
	creator := people.creator
	return Invitation{
		UUID: testID(30), StoredState: state, Created: created,
		Delivery: 3, ExecutionState: Erred, ErrorMessage: "The mailbox is full.", Reminded: true,
		RoleUUID: testRole.UUID, Role: testRole,
		ScopeUUID: scope.UUID, Scope: scope, CustomerUUID: scope.CustomerUUID,
		CreatedByUUID: &creator.UUID, CreatedBy: &creator,
		Email: people.guest.Email, EmailFolded: people.guest.EmailFolded,
		FullName: "Gil Guest", ExtraInvitationText: "Welcome.",
	}
}

// pendingInvitation returns an invitation into a project that waits for the guest since a day.
func pendingInvitation() Invitation {
	return testInvitation(Pending, testTime.Add(-day), testProject())
}

// testPolicy is the policy of a test that names no other.
var testPolicy = Policy{Lifetime: testLifetime, MinLifetime: time.Hour, MaxLifetime: 90 * day, MaxAge: 3 * day}

// viewNow returns an invitation as it is at testTime.
func viewNow(i Invitation) View { return testPolicy.view(i, testTime) }

// wantEvent returns the event of a user, or of the server where user is nil, after which the invitation is i.
func wantEvent(kind EventType, user *directory.User, from, to State, i Invitation) *Event {
	e := &Event{
		InvitationUUID: i.UUID, Type: kind, FromState: from, ToState: to,
		Email: i.Email, RoleUUID: i.RoleUUID, RoleName: i.Role.Name,
		ExecutionState: i.ExecutionState, ErrorMessage: i.ErrorMessage,
		ScopeUUID: &i.ScopeUUID, CustomerUUID: &i.CustomerUUID,
	}
	if user != nil {
		e.UserUUID, e.UserUsername, e.UserFullName = &user.UUID, user.Username, user.FullName
	}
	return e
}

// mailing returns an event after which the invitee of i is mailed.
func mailing(e *Event, i Invitation) *Event {
	e.MailTo = &i.EmailFolded
	return e
}

// onOff is for tests that try a policy off and on.
var onOff = []bool{false, true}
