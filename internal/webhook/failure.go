package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/oauth2"

	"invited/internal/delivery"
)

// peer is the server that a failure is about, as users are told.
type peer string

const (
	endpoint    peer = "webhook"
	loginServer peer = "login server of the webhook"
)

const checkSettings = "; the operator has to check the webhook settings."

func refusesLogin(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusProxyAuthRequired
}

// isTemporary reports whether a status asks for another attempt later.
func isTemporary(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status >= 500 && status < 600
}

// statusFailure classifies a response other than the expected one. Only the endpoint can refuse an invitation for good;
// a refusal by the login server is a matter for the operator.
func statusFailure(from peer, status int) *delivery.Failure {
	switch class := status / 100; {
	case isTemporary(status):
		return &delivery.Failure{
			Reason:    fmt.Sprintf("The %s asked to try again later (%d).", from, status),
			Throttled: status == http.StatusTooManyRequests,
		}
	case class == 3:
		return &delivery.Failure{
			Reason:   fmt.Sprintf("The %s redirects elsewhere (%d), which is not followed%s", from, status, checkSettings),
			Operator: true,
		}
	case refusesLogin(status), from == loginServer && (class == 2 || class == 4):
		return &delivery.Failure{
			Reason:   fmt.Sprintf("The %s refused the login (%d)%s", from, status, checkSettings),
			Operator: true, Blocked: true,
		}
	case class == 4:
		return &delivery.Failure{Reason: fmt.Sprintf("The %s refused the invitation (%d).", from, status), Final: true}
	default:
		return &delivery.Failure{
			Reason:   fmt.Sprintf("The %s gave an answer that is not understood (%d)%s", from, status, checkSettings),
			Operator: true,
		}
	}
}

// eventFailure classifies a response to an event. Standard Webhooks has 410 for an endpoint that wants no more requests.
func eventFailure(from peer, status int) *delivery.Failure {
	switch f := statusFailure(from, status); {
	case status == http.StatusGone:
		return &delivery.Failure{
			Reason:   fmt.Sprintf("The %s takes no events any more (%d)%s", from, status, checkSettings),
			Operator: true, Blocked: true,
		}
	case f.Final:
		return &delivery.Failure{Reason: fmt.Sprintf("The %s refused the event (%d).", from, status)}
	default:
		f.Throttled = f.Throttled || status == http.StatusBadGateway || status == http.StatusGatewayTimeout
		return f
	}
}

// errorCode matches the error codes that are registered for token endpoints. A wider pattern could let a response through
// that repeats the client secret.
var errorCode = regexp.MustCompile(`^[a-z_]{1,64}$`)

// tokenFailure classifies an error of [tokenSource.token]. It keeps only the status and the error code of a response: the
// rest is free text and may repeat the request.
func tokenFailure(ctx context.Context, err error) *delivery.Failure {
	var refusal *oauth2.RetrieveError
	var connection *url.Error
	switch {
	case errors.As(err, &refusal):
		f := statusFailure(loginServer, refusal.Response.StatusCode)
		if errorCode.MatchString(refusal.ErrorCode) {
			f.Err = errors.New(refusal.ErrorCode)
		}
		return f
	case errors.As(err, &connection):
		return connectionFailure(ctx, loginServer, connection.Err) // without the URL
	case ctx.Err() != nil:
		return connectionFailure(ctx, loginServer, err)
	default:
		return &delivery.Failure{
			Reason:   fmt.Sprintf("The %s gave no token%s", loginServer, checkSettings),
			Operator: true, Blocked: true,
		}
	}
}

// proxyRefusal is the status of a proxy that refused to connect.
type proxyRefusal int

func (p proxyRefusal) Error() string { return fmt.Sprintf("the proxy answered with %d", int(p)) }

// connectionFailure classifies an error that came in place of a response.
func connectionFailure(ctx context.Context, to peer, err error) *delivery.Failure {
	f := &delivery.Failure{Err: sanitize(ctx, err)}
	var network net.Error
	var proxy proxyRefusal
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		f.Reason = "Sending was interrupted."
	case ctx.Err() != nil, errors.As(err, &network) && network.Timeout():
		f.Reason = fmt.Sprintf("The %s did not answer in time.", to)
	case isTLS(err):
		f.Operator, f.Blocked = true, true
		f.Reason = fmt.Sprintf("No secure connection to the %s could be made; the operator has to check its certificate.",
			to)
	case errors.As(err, &proxy) && !isTemporary(int(proxy)):
		f.Operator, f.Blocked = true, true
		f.Reason = fmt.Sprintf("A proxy refused the connection to the %s (%d); the operator has to check the proxy settings.",
			to, int(proxy))
	case isUnreachable(err):
		f.Reason = fmt.Sprintf("The %s can't be reached.", to)
	default:
		f.Reason = fmt.Sprintf("The conversation with the %s broke off.", to)
	}
	return f
}

func isUnreachable(err error) bool {
	var op *net.OpError
	var proxy proxyRefusal
	return errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect") || errors.As(err, &proxy)
}

// isTLS reports whether the two sides can't agree on a secure connection. A connection that breaks off during the
// handshake doesn't count.
func isTLS(err error) bool {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var op *net.OpError
	return errors.As(err, &certificate) || errors.As(err, &record) || errors.Is(err, http.ErrSchemeMismatch) ||
		errors.As(err, &op) && op.Op == "remote error" || // an alert, whose type is not exported
		strings.HasPrefix(err.Error(), "tls: ")
}

func replaceControl(r rune) rune {
	if unicode.IsControl(r) {
		return ' '
	}
	return r
}

var errUnreadable = errors.New("the request could not be written or the response could not be read")

// sanitize returns an error that may be logged. Errors about the connection stay as they are. The others are net/http's
// errors about a response that it can't read, which quote the response.
func sanitize(ctx context.Context, err error) error {
	var network net.Error
	var proxy proxyRefusal
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &network):
		return network
	case isTLS(err), errors.As(err, &proxy):
		// The text may quote a certificate.
		return errors.New(strings.ToValidUTF8(strings.Map(replaceControl, err.Error()), ""))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return io.ErrUnexpectedEOF
	default:
		return errUnreadable
	}
}
