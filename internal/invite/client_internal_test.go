package invite

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A terminal obeys nothing that a server says.
func TestWordsOfAServer(t *testing.T) {
	t.Parallel()
	c := &Client{server: &url.URL{Scheme: "https", Host: "invited.example"}}
	const escape = "\x1b]0;x\a\x1b[2J\u009b2J"
	for _, err := range []error{
		c.refusal("x.csv", &http.Response{StatusCode: http.StatusTeapot, Status: "418 " + escape}, nil),
		c.refusal("x.csv", &http.Response{StatusCode: 599, Status: "599 " + escape}, []byte(`{"detail":"\u001b[2J"}`)),
		c.unreachable(&url.Error{Err: errors.New("x509: certificate is valid for " + escape)}),
	} {
		require.Equal(t, printable(err.Error()), err.Error())
	}
	require.Equal(t, "418 I'm a teapot", statusOf(&http.Response{StatusCode: http.StatusTeapot, Status: "418 " + escape}))
	require.Equal(t, "599", statusOf(&http.Response{StatusCode: 599}))
	require.ErrorIs(t, c.unreachable(io.ErrUnexpectedEOF), io.ErrUnexpectedEOF)
}

func TestAnswersAreLimited(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for part := strings.Repeat("x", 1<<20); ; {
			if _, err := io.WriteString(w, part); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
	require.NoError(t, err)
	response, err := limitedAnswers{http.DefaultTransport}.RoundTrip(r)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	n, err := io.Copy(io.Discard, response.Body)
	require.EqualError(t, err, "the answer is larger than 64 MiB")
	require.EqualValues(t, maxAnswer, n)
}
