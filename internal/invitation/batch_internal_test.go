package invitation

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/fault"
)

// Slow answers are looked for one after the other, and fast ones at once.
func TestOneSlowAnswerAtATime(t *testing.T) {
	t.Parallel()
	scope := func(pattern string) directory.Scope {
		return directory.Scope{UUID: uuid.New(), Type: directory.Project, UserEmailPatterns: []string{pattern}}
	}
	slow := admissionQuestion{scope(strings.Repeat("(a|b)", 800) + ".*"), "a@b.example"}
	fast := admissionQuestion{scope(`.*@b\.example`), "a@b.example"}
	require.False(t, slow.scope.HasFastEmailPatterns(slow.email))
	require.True(t, fast.scope.HasFastEmailPatterns(fast.email))

	answering <- struct{}{} // another batch
	require.NoError(t, (&Admissions{asked: []admissionQuestion{fast}}).Answer(t.Context(), time.Second))
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	err := (&Admissions{asked: []admissionQuestion{slow}}).Answer(ctx, time.Second)
	require.True(t, fault.Is(err, fault.KindUnavailable), "%v", err)
	done := make(chan error)
	go func() { done <- (&Admissions{asked: []admissionQuestion{slow}}).Answer(t.Context(), time.Second) }()
	<-answering
	require.NoError(t, <-done)
}
