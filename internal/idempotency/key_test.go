package idempotency_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/fault"
	"invited/internal/idempotency"
)

func TestParseKey(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("k", 255)
	for given, want := range map[string]string{
		"k": "k", `"k"`: "k", long: long, `"` + long + `"`: long, "!#$%&'()*+,-./:;<=>?@[]^_`{|}~": "!#$%&'()*+,-./:;<=>?@[]^_`{|}~",
		`"8e03978e-40d5-43e8-bc93-6894a57f9324"`: "8e03978e-40d5-43e8-bc93-6894a57f9324",
		"8e03978e-40d5-43e8-bc93-6894a57f9324":   "8e03978e-40d5-43e8-bc93-6894a57f9324",
	} {
		key, ok, err := idempotency.ParseKey([]string{given})
		require.NoError(t, err, given)
		require.True(t, ok)
		require.Equal(t, want, key)
	}
	for _, given := range []string{
		"", " ", `"`, `""`, `"""`, `"k`, `k"`, `k"k`, `"k" `, ` k`, `"k";q=1`, `"k", "l"`, "k k", `"k k"`, `k\k`, `"k\"k"`, "k\n", "k\x00", "\x7f", "kä",
		"(k l)\t", long + "k", `"` + long + `k"`,
	} {
		_, ok, err := idempotency.ParseKey([]string{given})
		require.True(t, fault.Is(err, fault.KindContradiction), "%q", given)
		require.False(t, ok)
	}
	_, ok, err := idempotency.ParseKey(nil)
	require.NoError(t, err)
	require.False(t, ok)
	_, _, err = idempotency.ParseKey([]string{"k", "k"})
	require.True(t, fault.Is(err, fault.KindContradiction))
}

// What can be another answer when the request comes again is not kept.
func TestIsKept(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]bool{
		200: true, 201: true, 202: true, 204: true, 400: true, 403: true, 404: true, 413: true, 422: true,
		401: false, 408: false, 409: false, 429: false, 500: false, 502: false, 503: false,
	} {
		require.Equal(t, want, idempotency.Answer{Status: status}.IsKept(), status)
	}
}
