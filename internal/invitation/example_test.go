package invitation_test

import (
	"fmt"
	"time"

	"invited/internal/directory"
	"invited/internal/invitation"
)

// The state is computed from the row and the time. An invitation into a project lives from the project's start.
func ExampleInvitation_StateAt() {
	const lifetime = 7 * 24 * time.Hour
	created := time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
	starts := time.Date(2026, 12, 24, 0, 0, 0, 0, time.UTC)
	i := invitation.Invitation{
		StoredState: invitation.Pending,
		Created:     created,
		Scope:       directory.Scope{Type: directory.Project, StartDate: &starts},
	}

	fmt.Println(i.StateAt(created.Add(lifetime), lifetime))
	fmt.Println(i.Expires(lifetime).Format(time.DateOnly))
	fmt.Println(i.StateAt(i.Expires(lifetime), lifetime))
	i.StoredState = invitation.Accepted
	fmt.Println(i.StateAt(i.Expires(lifetime), lifetime))
	// Output:
	// pending
	// 2026-12-31
	// expired
	// accepted
}
