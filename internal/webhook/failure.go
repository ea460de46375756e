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

// party is whom a failure is about, in the words that people are told.
type party string

const (
	endpoint    party = "webhook"
	loginServer party = "login server of the webhook"
)

const checkSettings = "; the operator has to check the webhook settings."

func refusesLogin(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusProxyAuthRequired
}

// mayPass finds the statuses that ask for another attempt.
func mayPass(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status >= 500 && status < 600
}

// statusFailure says what an answer means that isn't the one hoped for. Only the endpoint can refuse an invitation;
// what the login server refuses is the operator's.
func statusFailure(who party, status int) *delivery.Failure {
	switch class := status / 100; {
	case mayPass(status):
		return &delivery.Failure{Reason: fmt.Sprintf("The %s asked to try again later (%d).", who, status)}
	case class == 3:
		return &delivery.Failure{
			Reason:   fmt.Sprintf("The %s redirects elsewhere (%d), which is not followed%s", who, status, checkSettings),
			Operator: true,
		}
	case refusesLogin(status), who == loginServer && (class == 2 || class == 4):
		return &delivery.Failure{
			Reason:   fmt.Sprintf("The %s refused the login (%d)%s", who, status, checkSettings),
			Operator: true, Blocked: true,
		}
	case class == 4:
		return &delivery.Failure{Reason: fmt.Sprintf("The %s refused the invitation (%d).", who, status), Final: true}
	default:
		return &delivery.Failure{
			Reason:   fmt.Sprintf("The %s gave an answer that is not understood (%d)%s", who, status, checkSettings),
			Operator: true,
		}
	}
}

// errorCode is as wide as the codes that are registered for a token endpoint. A wider one could let an answer through
// that repeats the client secret.
var errorCode = regexp.MustCompile(`^[a-z_]{1,64}$`)

// tokenFailure says what an error of [login.token] means. Of an answer it keeps the status and the error code, because
// the rest is free text and may repeat what was sent.
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

// proxyRefusal is the status with which a proxy refused to connect.
type proxyRefusal int

func (p proxyRefusal) Error() string { return fmt.Sprintf("the proxy answered with %d", int(p)) }

// connectionFailure says what an error means that came in the place of an answer.
func connectionFailure(ctx context.Context, who party, err error) *delivery.Failure {
	f := &delivery.Failure{Err: loggable(ctx, err)}
	var network net.Error
	var proxy proxyRefusal
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		f.Reason = "Sending was interrupted."
	case ctx.Err() != nil, errors.As(err, &network) && network.Timeout():
		f.Reason = fmt.Sprintf("The %s did not answer in time.", who)
	case isTLS(err):
		f.Operator, f.Blocked = true, true
		f.Reason = fmt.Sprintf("No secure connection to the %s could be made; the operator has to check its certificate.",
			who)
	case errors.As(err, &proxy) && !mayPass(int(proxy)):
		f.Operator, f.Blocked = true, true
		f.Reason = fmt.Sprintf("A proxy refused the connection to the %s (%d); the operator has to check the proxy settings.",
			who, int(proxy))
	case isUnreachable(err):
		f.Reason = fmt.Sprintf("The %s can't be reached.", who)
	default:
		f.Reason = fmt.Sprintf("The conversation with the %s broke off.", who)
	}
	return f
}

func isUnreachable(err error) bool {
	var op *net.OpError
	var proxy proxyRefusal
	return errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect") || errors.As(err, &proxy)
}

// isTLS finds what the two sides can't agree on, and not what only broke off in the meantime.
func isTLS(err error) bool {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var op *net.OpError
	return errors.As(err, &certificate) || errors.As(err, &record) || errors.Is(err, http.ErrSchemeMismatch) ||
		errors.As(err, &op) && op.Op == "remote error" || // an alert, whose type is not exported
		strings.HasPrefix(err.Error(), "tls: ")
}

func printable(r rune) rune {
	if unicode.IsControl(r) {
		return ' '
	}
	return r
}

var errUnreadable = errors.New("the request could not be written or its answer not be read")

// loggable keeps the errors that speak of the connection only. The others are those of net/http about an answer that it
// can't read, and they quote it.
func loggable(ctx context.Context, err error) error {
	var network net.Error
	var proxy proxyRefusal
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &network):
		return network
	case isTLS(err), errors.As(err, &proxy):
		return errors.New(strings.ToValidUTF8(strings.Map(printable, err.Error()), "")) // it may quote a certificate
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return io.ErrUnexpectedEOF
	default:
		return errUnreadable
	}
}
