package mail_test

import (
	"fmt"
	"time"

	"invited/internal/mail"
)

func ExampleRenderer() {
	renderer, err := mail.NewRenderer("Example Portal", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	created := time.Date(2026, time.November, 23, 9, 30, 0, 0, time.UTC)
	message, err := renderer.Render(mail.InvitationCreated, "bob@example.org", "1.created@example.com", created, mail.Invitation{
		Email:           "bob@example.org",
		Inviter:         "Alice Owner",
		ScopeName:       "Apollo",
		ScopeType:       "project",
		CustomerName:    "Acme",
		RoleName:        "PROJECT.ADMIN",
		RoleDescription: "System administrator",
		Link:            "https://portal.example.com/invitation/5d3f6f0e-1c8b-4b57-9a43-0c1f8a5f2a11/",
		Expires:         created.AddDate(0, 0, 7),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("Subject: %s\n\n%s", message.Subject, message.Text)
	// Output:
	// Subject: Invitation to Apollo project
	//
	// Hello,
	//
	// Alice Owner invites you to join the project Apollo of the organization Acme as System administrator.
	//
	// View the invitation and answer it on this page:
	//
	// https://portal.example.com/invitation/5d3f6f0e-1c8b-4b57-9a43-0c1f8a5f2a11/
	//
	// The invitation ends on 30 November 2026, 09:30 UTC.
	//
	// You did not expect this mail? Then ignore it: nothing happens unless you accept. It was sent by Example Portal to bob@example.org because somebody entered this address there.
}
