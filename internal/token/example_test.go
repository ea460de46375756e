package token_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"invited/internal/token"
)

func ExampleSigner() {
	signer := token.NewSigner("0123456789abcdef0123456789abcdef")
	issued := time.Date(2026, time.November, 23, 9, 30, 0, 0, time.UTC)
	link := signer.Sign(token.Approval{
		Purpose:    token.Approve,
		User:       uuid.MustParse("11111111-1111-4111-8111-111111111111"),
		Invitation: uuid.MustParse("22222222-2222-4222-8222-222222222222"),
		Issued:     issued,
	})

	const maxAge = 7 * 24 * time.Hour
	approval, err := signer.Verify(link, token.Approve, issued.Add(time.Hour), maxAge)
	fmt.Println(approval.Invitation, err)

	_, err = signer.Verify(link, token.Reject, issued.Add(time.Hour), maxAge)
	fmt.Println("for another purpose:", errors.Is(err, token.ErrPayload))

	_, err = signer.Verify(link, token.Approve, issued.Add(maxAge), maxAge)
	fmt.Println("after a week:", errors.Is(err, token.ErrSignature))
	// Output:
	// 22222222-2222-4222-8222-222222222222 <nil>
	// for another purpose: true
	// after a week: true
}

// A secret is replaced in two steps: the old one stays as a fallback until its last token is too old.
func ExampleNewSigner() {
	issued := time.Date(2026, time.November, 23, 9, 30, 0, 0, time.UTC)
	before := token.NewSigner("the old secret")
	after := token.NewSigner("the new secret", "the old secret")

	link := before.Sign(token.Approval{Purpose: token.Approve, Issued: issued})
	_, err := after.Verify(link, token.Approve, issued, time.Hour)
	fmt.Println(err)
	// Output: <nil>
}
