package token_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/token"
)

const week = 7 * 24 * time.Hour

func TestApprovalRoundTrip(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
	signer := token.NewSigner("a secret of the tests")
	want := token.Approval{Purpose: token.Approve, User: uuid.New(), Invitation: uuid.New(), Issued: now}

	got, err := signer.Verify(signer.Sign(want), token.Approve, now.Add(week-time.Second), week)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestApprovalRefusals(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
	signer := token.NewSigner("a secret of the tests", "an older secret")
	approval := token.Approval{Purpose: token.Approve, User: uuid.New(), Invitation: uuid.New(), Issued: now}
	good := signer.Sign(approval)
	body, sum := good[:strings.LastIndexByte(good, '.')], good[strings.LastIndexByte(good, '.')+1:]
	other := approval
	other.Invitation = uuid.New()
	otherBody := signer.Sign(other)[:len(body)]

	for _, each := range []struct {
		name    string
		text    string
		purpose token.Purpose
		now     time.Time
		want    error
	}{
		{"empty", "", token.Approve, now, token.ErrSignature},
		{"no signature", body, token.Approve, now, token.ErrSignature},
		{"empty signature", body + ".", token.Approve, now, token.ErrSignature},
		{"signature of another payload", otherBody + "." + sum, token.Approve, now, token.ErrSignature},
		{"payload and signature swapped", sum + "." + body, token.Approve, now, token.ErrSignature},
		{"signature twice", good + "." + sum, token.Approve, now, token.ErrSignature},
		{"a line break in the signature", good[:len(good)-4] + "\n" + good[len(good)-4:], token.Approve, now, token.ErrSignature},
		{"padded", good + "=", token.Approve, now, token.ErrSignature},
		{"none algorithm", "eyJhbGciOiJub25lIn0." + body + ".", token.Approve, now, token.ErrSignature},
		{"unknown key", token.NewSigner("another secret").Sign(approval), token.Approve, now, token.ErrSignature},
		{"exactly too old", good, token.Approve, now.Add(week), token.ErrSignature},
		{"from the future", good, token.Approve, now.Add(-2 * time.Minute), token.ErrSignature},
		{"for the other action", good, token.Reject, now, token.ErrPayload},
	} {
		_, err := signer.Verify(each.text, each.purpose, each.now, week)
		require.ErrorIs(t, err, each.want, each.name)
	}

	// Every single changed character, and every truncation, is refused.
	for i := range good {
		flipped := []byte(good)
		flipped[i] ^= 1
		_, err := signer.Verify(string(flipped), token.Approve, now, week)
		require.ErrorIs(t, err, token.ErrSignature, "character %d changed", i)
		_, err = signer.Verify(good[:i], token.Approve, now, week)
		require.ErrorIs(t, err, token.ErrSignature, "cut to %d characters", i)
	}
}

func TestKeyRotation(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
	approval := token.Approval{Purpose: token.Reject, User: uuid.New(), Invitation: uuid.New(), Issued: now}
	old := token.NewSigner("old").Sign(approval)

	_, err := token.NewSigner("new", "old").Verify(old, token.Reject, now, week)
	require.NoError(t, err)
	_, err = token.NewSigner("new").Verify(old, token.Reject, now, week)
	require.ErrorIs(t, err, token.ErrSignature)
	require.NotEqual(t, old, token.NewSigner("new", "old").Sign(approval), "new tokens are signed with the new key")
}

func TestKeys(t *testing.T) {
	t.Parallel()
	key := token.NewKey()
	require.Regexp(t, `^inv_[A-Z2-7]{26,}$`, key)
	require.NotEqual(t, key, token.NewKey())
	require.Len(t, token.Digest(key), 64)
	require.NotContains(t, token.Digest(key), key)
}

func FuzzVerify(f *testing.F) {
	now := time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
	signer := token.NewSigner("a secret of the tests")
	// The same in every process: the fuzzer's workers each make their own.
	good := signer.Sign(token.Approval{Purpose: token.Approve, User: uuid.UUID{1}, Invitation: uuid.UUID{2}, Issued: now})
	f.Add(good)
	f.Add("v1..")
	f.Fuzz(func(t *testing.T, text string) {
		_, err := signer.Verify(text, token.Approve, now, week)
		if text != good {
			require.ErrorIs(t, err, token.ErrSignature)
		}
	})
}
