package api

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/semaphore"

	"invited/internal/fault"
)

// manyNames returns an object of about a size in bytes, with a token and as many short names as fit.
func manyNames(size int) string {
	var body strings.Builder
	body.WriteString(`{"token":"x"`)
	for i := 0; body.Len() < size-12; i++ {
		fmt.Fprintf(&body, `,"%x":1`, i)
	}
	return body.String() + "}"
}

// What a body costs in memory is bounded, whatever is in the body: the limits of what is decoded at once count bytes of
// bodies. The test is not parallel, since it counts what the process allocates.
func TestDecodingTakesFewTimesTheBody(t *testing.T) { //nolint:paralleltest // as above
	contract, err := readContract()
	require.NoError(t, err)
	for name, body := range map[string]string{
		"names":   manyNames(1 << 20),
		"few":     manyNames(16 << 10),
		"objects": `{"token":[` + strings.Repeat(`{"a":{}},`, 110_000) + `1]}`,
		"nested":  `{"x":` + strings.Repeat(`{"a":[`, 4000) + strings.Repeat(`]}`, 4000) + `}`,
		"string":  `{"token":"` + strings.Repeat(`\u0061`, 170_000) + `"}`,
		"numbers": `{"token":[` + strings.Repeat(`1,`, 500_000) + `1]}`,
		"items":   `{"invitations":[` + strings.Repeat(`{},`, 300_000) + `{}]}`,
		"fields":  `{"invitations":[` + strings.Repeat(`{"email":"","role":""},`, 40_000) + `{}]}`,
	} {
		schema := "TokenRequest"
		if strings.Contains(body, "invitations") {
			schema = "InvitationDuplicateCheckRequest"
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err = sanitizeJSON(r, contract.Components.Schemas[schema].Value)
		runtime.ReadMemStats(&after)
		times := float64(after.TotalAlloc-before.TotalAlloc) / float64(len(body))
		t.Logf("%s: %.1f times its %d bytes, %d bytes are left", name, times, len(body), r.ContentLength)
		require.Less(t, times, 45.0, name)
		if err == nil {
			require.Less(t, r.ContentLength, int64(200_000), name)
		}
	}
}

// A request that finds no room is a 503 that may be repeated, and holds nothing afterwards.
func TestReserveEndsWithTheRequest(t *testing.T) {
	t.Parallel()
	limit := semaphore.NewWeighted(10)
	release, err := reserve(t.Context(), limit, 10)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = reserve(ctx, limit, 1)
	require.True(t, fault.Is(err, fault.KindUnavailable), "%v", err)
	release()
	release, err = reserve(t.Context(), limit, 10)
	require.NoError(t, err)
	release()
}

// An operation that takes a body has a limit of the body's size in the contract, for which there is room.
func TestBodyLimitIsRequired(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		value         any
		authenticated bool
		limit         int64 // 0: an error
	}{
		{nil, true, 0},
		{"16384", true, 0},
		{0.0, true, 0},
		{-1.0, true, 0},
		{16384.0, true, 16384},
		{1048576.0, true, 1 << 20},
		{1048576.0, false, 0},
		{16384.0, false, 16384},
		{float64(decodedAuthenticated + 1), true, 0},
	} {
		operation := &openapi3.Operation{RequestBody: &openapi3.RequestBodyRef{}, Extensions: map[string]any{bodyExtension: test.value}}
		limit, err := bodyLimitOf(operation, test.authenticated)
		require.Equal(t, test.limit, limit, test.value)
		require.Equal(t, test.limit == 0, err != nil, test.value)
	}
	limit, err := bodyLimitOf(&openapi3.Operation{}, false)
	require.NoError(t, err)
	require.EqualValues(t, discardLimit, limit)
}
