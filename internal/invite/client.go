package invite

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
	"github.com/hashicorp/go-retryablehttp"

	"invited/gen/client"
)

const (
	// attemptTimeout is the time limit of one attempt at a request. The server answers within 20 s; the rest is for the way.
	attemptTimeout = 2 * time.Minute
	// A request is sent again after firstPause, then after twice as long each time, up to longestPause: for 25 s where the server
	// has never answered, which is most likely a wrong address, and for about three minutes otherwise.
	firstPause     = 500 * time.Millisecond
	longestPause   = 10 * time.Second
	retriesAtFirst = 6
	retriesLater   = 20
	// longestWait is the number of seconds for which the client waits where the server asks for a pause.
	longestWait = 60

	// maxAnswer is the size of the largest answer that is read, in bytes. Those of a dry run of 10,000 rows are a few MiB.
	maxAnswer = 64 << 20

	idempotencyKey = "Idempotency-Key"
)

// ErrInsecure is the error for a server that would get the token in the clear.
var ErrInsecure = errors.New("the token would cross the network in the clear: use an https URL, or --insecure-http where the network is yours")

// Client calls the API of one server.
type Client struct {
	api     *client.ClientWithResponses
	retries *retryablehttp.Client
	server  *url.URL
}

// Server is the server to call.
type Server struct {
	URL          *url.URL // ends in a slash
	Token        string
	InsecureHTTP bool // the token may be sent without TLS to another machine
	// Warn gets a line about each pause because the server does not answer.
	Warn func(string)
}

// NewClient returns a client of a server. It returns an error where the token can't be sent as it is, or must not be.
func NewClient(s Server) (*Client, error) {
	switch {
	case s.URL.Scheme == "http" && !s.InsecureHTTP && !isLoopback(s.URL.Hostname()):
		return nil, ErrInsecure
	case s.Token == "":
		return nil, errors.New("INVITED_TOKEN is missing: set it to an API token, which `invited token create` issues, or name a file with --token-file")
	case strings.ContainsFunc(s.Token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, errors.New("INVITED_TOKEN is no API token: it has characters that no token has")
	}
	retries := retryablehttp.NewClient()
	retries.Logger = nil
	retries.RetryWaitMin, retries.RetryWaitMax, retries.RetryMax = firstPause, longestPause, retriesAtFirst
	retries.CheckRetry, retries.ErrorHandler = isRetried, retryablehttp.PassthroughErrorHandler
	retries.HTTPClient.Timeout = attemptTimeout
	retries.Backoff = func(shortest, longest time.Duration, attempt int, response *http.Response) time.Duration {
		switch {
		case attempt > 0: // it was said
		case response == nil:
			s.Warn(s.URL.Host + " does not answer; trying again")
		default:
			s.Warn(s.URL.Host + " answered " + statusOf(response) + "; trying again")
		}
		return retryablehttp.DefaultBackoff(shortest, longest, attempt, response)
	}
	retries.HTTPClient.Transport = limitedAnswers{retries.HTTPClient.Transport}
	caller := retries.StandardClient()
	// A redirect could take the token to another server. Both clients, of which one has the other inside, would follow it.
	caller.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	retries.HTTPClient.CheckRedirect = caller.CheckRedirect
	api, err := client.NewClientWithResponses(s.URL.String(), client.WithHTTPClient(caller),
		client.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+s.Token)
			return nil
		}))
	return &Client{api, retries, s.URL}, err
}

// limitedAnswers is a transport whose answers end with an error after maxAnswer bytes.
type limitedAnswers struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t limitedAnswers) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.RoundTripper.RoundTrip(r)
	if err == nil {
		response.Body = &limitedAnswer{response.Body, maxAnswer}
	}
	return response, err
}

type limitedAnswer struct {
	io.ReadCloser
	left int
}

// Read implements io.Reader.
func (a *limitedAnswer) Read(p []byte) (int, error) {
	if a.left <= 0 {
		return 0, fmt.Errorf("the answer is larger than %d MiB", maxAnswer>>20)
	}
	n, err := a.ReadCloser.Read(p[:min(len(p), a.left)])
	a.left -= n
	return n, err
}

// isLoopback reports whether a host is this machine.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// withKey makes a request one that the server does once, however often it comes.
func withKey(_ context.Context, r *http.Request) error {
	r.Header.Set(idempotencyKey, uuid.NewString())
	return nil
}

// isRetried reports whether a request is sent again: where the server can't be reached, or asks for it. A server that still
// works on a request answers 409 to the same request.
func isRetried(ctx context.Context, response *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		return retryablehttp.DefaultRetryPolicy(ctx, response, err)
	}
	if after, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && after > longestWait {
		return false, nil // for a person to wait
	}
	switch response.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true, nil
	case http.StatusConflict:
		return response.Request.Header.Get(idempotencyKey) != "", nil
	default:
		return false, nil
	}
}

// unreachable returns the error of a request without an answer.
func (c *Client) unreachable(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) { // its text has the whole URL
		err = wrapped.Err
	}
	if errors.As(err, &wrapped) { // the client of the retries wraps it again
		err = wrapped.Err
	}
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		return fmt.Errorf("the certificate of %s is not to be trusted: %w", c.server.Host, printableError{certificate.Err})
	}
	return fmt.Errorf("can't reach %s: %w", c.server.Host, printableError{err})
}

// refusal returns the error of an unexpected answer. subject begins messages about the request, such as the file's name.
func (c *Client) refusal(subject string, response *http.Response, body []byte) error {
	words := wordsOf(body)
	switch status := response.StatusCode; {
	case status == http.StatusUnauthorized:
		return fmt.Errorf("%s does not take the token: %s Set INVITED_TOKEN to one that `invited token create --user NAME` issues there",
			c.server.Host, words)
	case status >= 300 && status < 400:
		return fmt.Errorf("%s sends requests on to %s: name that server with --server", c.server, printable(response.Header.Get("Location")))
	case words == "":
		return fmt.Errorf("%s answered %s, and nothing that says why", c.server, statusOf(response))
	case status == http.StatusBadRequest, status == http.StatusRequestEntityTooLarge:
		return fmt.Errorf("%s: %s", subject, words)
	default:
		return fmt.Errorf("%s answered %s: %s", c.server.Host, statusOf(response), words)
	}
}

// wordsOf returns the messages of an error's body, which has one of the three shapes of the API; empty: it has another.
func wordsOf(body []byte) string {
	var detail struct{ Detail string }
	var list []string
	var fields map[string][]string
	switch {
	case json.Unmarshal(body, &detail) == nil && detail.Detail != "":
		return printable(detail.Detail)
	case json.Unmarshal(body, &list) == nil:
		return printable(strings.Join(list, " "))
	case json.Unmarshal(body, &fields) == nil:
		var all []string
		for _, field := range slices.Sorted(maps.Keys(fields)) {
			text := strings.Join(fields[field], " ")
			if field != "non_field_errors" {
				text = field + ": " + text
			}
			all = append(all, text)
		}
		return printable(strings.Join(all, " "))
	}
	return ""
}

// statusOf returns the status of a response in our own words: those of the server can be anything.
func statusOf(response *http.Response) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", response.StatusCode, http.StatusText(response.StatusCode)))
}

// printableError is an error whose text can have words of a server.
type printableError struct{ err error }

// Error implements error.
func (e printableError) Error() string { return printable(e.err.Error()) }

// Unwrap returns the error.
func (e printableError) Unwrap() error { return e.err }

// printable returns a server's text without what a terminal would obey.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}
