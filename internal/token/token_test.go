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

func TestSignAndVerify(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
	signer := token.NewSigner("a test secret")
	want := token.Approval{Purpose: token.Approve, User: uuid.New(), Invitation: uuid.New(), Issued: now}

	got, err := signer.Verify(signer.Sign(want), token.Approve, now.Add(week-time.Second), week)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
	signer := token.NewSigner("a test secret", "an older secret")
	approval := token.Approval{Purpose: token.Approve, User: uuid.New(), Invitation: uuid.New(), Issued: now}
	good := signer.Sign(approval)
	body, sum := good[:strings.LastIndexByte(good, '.')], good[strings.LastIndexByte(good, '.')+1:]
	other := approval
	other.Invitation = uuid.New()
	otherBody := signer.Sign(other)[:len(body)]

	for _, test := range []struct {
		name    string
		token   string
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
		{"line break in the signature", good[:len(good)-4] + "\n" + good[len(good)-4:], token.Approve, now, token.ErrSignature},
		{"padded", good + "=", token.Approve, now, token.ErrSignature},
		{"algorithm none", "eyJhbGciOiJub25lIn0." + body + ".", token.Approve, now, token.ErrSignature},
		{"signed with an unknown key", token.NewSigner("another secret").Sign(approval), token.Approve, now, token.ErrSignature},
		{"as old as the maximum age", good, token.Approve, now.Add(week), token.ErrSignature},
		{"issued in the future", good, token.Approve, now.Add(-2 * time.Minute), token.ErrSignature},
		{"other purpose", good, token.Reject, now, token.ErrPayload},
	} {
		_, err := signer.Verify(test.token, test.purpose, test.now, week)
		require.ErrorIs(t, err, test.want, test.name)
	}

	// A token with one changed character and a truncated token are refused.
	for i := range good {
		flipped := []byte(good)
		flipped[i] ^= 1
		_, err := signer.Verify(string(flipped), token.Approve, now, week)
		require.ErrorIs(t, err, token.ErrSignature, "character %d changed", i)
		_, err = signer.Verify(good[:i], token.Approve, now, week)
		require.ErrorIs(t, err, token.ErrSignature, "truncated to %d characters", i)
	}
}

func TestSecretRotation(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
	approval := token.Approval{Purpose: token.Reject, User: uuid.New(), Invitation: uuid.New(), Issued: now}
	old := token.NewSigner("old").Sign(approval)

	_, err := token.NewSigner("new", "old").Verify(old, token.Reject, now, week)
	require.NoError(t, err)
	_, err = token.NewSigner("new").Verify(old, token.Reject, now, week)
	require.ErrorIs(t, err, token.ErrSignature)
	require.NotEqual(t, old, token.NewSigner("new", "old").Sign(approval), "new tokens are signed with the new secret")
}

func TestAPIKeys(t *testing.T) {
	t.Parallel()
	key := token.NewKey()
	require.Regexp(t, `^inv_[A-Z2-7]{26,}$`, key)
	require.NotEqual(t, key, token.NewKey())
	require.Len(t, token.Digest(key), 64)
	require.NotContains(t, token.Digest(key), key)
}

func FuzzVerify(f *testing.F) {
	now := time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
	signer := token.NewSigner("a test secret")
	// Each worker process of the fuzzer signs this token again: it must be the same in all of them.
	good := signer.Sign(token.Approval{Purpose: token.Approve, User: uuid.UUID{1}, Invitation: uuid.UUID{2}, Issued: now})
	f.Add(good)
	f.Add("v1..")
	f.Fuzz(func(t *testing.T, input string) {
		_, err := signer.Verify(input, token.Approve, now, week)
		if input != good {
			require.ErrorIs(t, err, token.ErrSignature)
		}
	})
}
