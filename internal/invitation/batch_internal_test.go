package invitation

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/fault"
)

// A decision compares addresses with fast patterns up to a limit of work, and leaves the rest to be answered outside of it. The
// next decision has the answers, and a limit of its own.
func TestFastWorkIsLimited(t *testing.T) {
	t.Parallel()
	scope := directory.Scope{UUID: uuid.New(), Type: directory.Project, UserEmailPatterns: slices.Repeat([]string{`.*@(a|b)\.example`}, 30)}
	address := func(n int) string { return fmt.Sprintf("a%02d@b.example", n) }
	work, isFast := scope.EmailPatternWork(address(0))
	require.True(t, isFast)
	require.Greater(t, work, directory.FastEmailWork/2)
	limit := fastWork / work
	admissions := &Admissions{}
	for begin := range 2 {
		admissions.begin(map[uuid.UUID]directory.Scope{scope.UUID: scope})
		for n := range (begin + 1) * limit {
			refusing, err := admissions.find(scope, address(n))
			require.NoError(t, err, n)
			require.Empty(t, refusing)
		}
		_, err := admissions.find(scope, address((begin+1)*limit))
		require.ErrorIs(t, err, errUnanswered)
	}
}

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
