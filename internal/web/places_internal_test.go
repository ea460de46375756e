package web

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/semaphore"

	"invited/internal/fault"
)

func TestPlaces(t *testing.T) {
	t.Parallel()
	p := places{all: semaphore.NewWeighted(tablePlaces)}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	one, two, three := uuid.New(), uuid.New(), uuid.New()
	give, end, err := p.take(t.Context(), one)
	require.NoError(t, err)
	_, _, err = p.take(ended, one)
	require.True(t, fault.Is(err, fault.KindUnavailable), "a user has one place")
	_, endTwo, err := p.take(t.Context(), two)
	require.NoError(t, err)
	_, _, err = p.take(ended, three)
	require.True(t, fault.Is(err, fault.KindUnavailable), "all are taken")

	give()
	give()
	giveThree, endThree, err := p.take(t.Context(), three)
	require.NoError(t, err)
	giveThree()
	endThree()
	_, _, err = p.take(ended, one)
	require.True(t, fault.Is(err, fault.KindUnavailable), "the response of the user's other request is being written")
	done := make(chan error)
	go func() {
		_, _, err := p.take(t.Context(), one)
		done <- err
	}()
	end()
	end()
	require.NoError(t, <-done)
	endTwo()
}
