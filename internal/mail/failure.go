package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"regexp"
	"strings"

	"invited/internal/delivery"
)

// stage is how far a conversation with a mail server had come.
type stage int

const (
	stageDial stage = iota
	stageGreeting
	stageLogin
	stageSender
	stageRecipient
	stageData
	stageInFlight // content is being written
	stageContent  // all of it is, and the reply is due
)

// enhancedCode is the status code of RFC 3463 that may open a reply's text.
var enhancedCode = regexp.MustCompile(`^[245]\.\d{1,3}\.\d{1,3}\b`)

// smtpFailure says what an error at a stage means to people, and whether it is
// final.
func smtpFailure(ctx context.Context, at stage, err error) *delivery.Failure {
	f := &delivery.Failure{Err: err}
	var reply *textproto.Error
	var network net.Error
	switch {
	case errors.Is(err, errNoTLS), errors.Is(err, errNoLogin):
		f.Reason = "The mail server offers no secure login; the operator has to check the mail settings."
	case errors.As(err, &reply) && reply.Code >= 400 && reply.Code < 600:
		f.Reason, f.Final = replyReason(at, reply)
	case errors.Is(ctx.Err(), context.Canceled):
		f.Reason = "Sending was interrupted."
	case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		f.Reason = "The mail server did not answer in time."
	case isTLS(err):
		f.Reason = "No secure connection to the mail server could be made; the operator has to check its certificate."
	case at == stageDial:
		f.Reason = "The mail server can't be reached."
	default:
		f.Reason = "The conversation with the mail server broke off."
	}
	return f
}

// replyReason reads a negative reply. Only what is held against the recipient
// or the content is final; what is held against the sender, the login or this
// server is the operator's to mend, and the mail must survive until then.
func replyReason(at stage, reply *textproto.Error) (reason string, final bool) {
	passing := reply.Code < 500
	operators := "The mail server refused the %s (%d); the operator has to check the mail settings."
	switch {
	case at == stageRecipient && passing:
		return fmt.Sprintf("The mail server does not take mail for this address now %s.", replyCodes(reply)), false
	case passing:
		return fmt.Sprintf("The mail server asked to try again later (%d).", reply.Code), false
	case at < stageLogin:
		return fmt.Sprintf(operators, "connection", reply.Code), false
	case at == stageLogin:
		return fmt.Sprintf(operators, "login", reply.Code), false
	case at == stageSender, isOperators(reply):
		return fmt.Sprintf(operators, "sender", reply.Code), false
	case at == stageRecipient:
		return fmt.Sprintf("The mail server refused the address %s.", replyCodes(reply)), true
	default:
		return fmt.Sprintf("The mail server refused the message (%d).", reply.Code), true
	}
}

// isOperators finds refusals that are spoken at RCPT but mean somebody else:
// servers such as Postfix put off complaints about login and sender until then.
// The codes are those of RFC 4954, section 6, and RFC 3463, sections 3.2 and 3.8.
func isOperators(reply *textproto.Error) bool {
	switch reply.Code {
	case 503, 530, 534, 535, 538:
		return true
	}
	switch enhancedCode.FindString(reply.Msg) {
	case "5.1.7", "5.1.8", "5.7.8", "5.7.9":
		return true
	}
	return false
}

// meanings of enhanced status codes, by subject and detail (RFC 3463, section 3, and RFC 7505).
var meanings = map[string]string{
	"1.1":  "there is no such mailbox",
	"1.2":  "there is no such domain",
	"1.3":  "the address is not well formed",
	"1.10": "the domain takes no mail",
	"2.1":  "the mailbox is closed",
	"2.2":  "the mailbox is full",
	"7.1":  "its rules refuse it",
}

// replyCodes are what users are told of a reply: its code, its enhanced status code, and what that means. Its text
// names hosts and addresses of the mail server's side, which is nobody's business who can see the invitation.
func replyCodes(reply *textproto.Error) string {
	enhanced := enhancedCode.FindString(reply.Msg)
	if enhanced == "" {
		return fmt.Sprintf("(%d)", reply.Code)
	}
	if meaning := meanings[enhanced[2:]]; meaning != "" {
		return fmt.Sprintf("(%d %s: %s)", reply.Code, enhanced, meaning)
	}
	return fmt.Sprintf("(%d %s)", reply.Code, enhanced)
}

func isTLS(err error) bool {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	return errors.As(err, &certificate) || errors.As(err, &record) || errors.As(err, &alert) ||
		strings.Contains(err.Error(), "tls: ")
}
