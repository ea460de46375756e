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
// final or the operator's.
func smtpFailure(ctx context.Context, at stage, err error) *delivery.Failure {
	f := &delivery.Failure{}
	var reply *textproto.Error
	var network net.Error
	switch {
	case errors.Is(err, errNoTLS), errors.Is(err, errNoLogin):
		f.Reason = "The mail server offers no secure login; the operator has to check the mail settings."
		f.Operator, f.Blocked = true, true
	case errors.As(err, &reply) && isNegative(reply):
		f = replyFailure(at, reply)
	case errors.Is(ctx.Err(), context.Canceled):
		f.Reason = "Sending was interrupted."
	case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		f.Reason = "The mail server did not answer in time."
	case at <= stageGreeting && isTLS(err):
		f.Reason = "No secure connection to the mail server could be made; the operator has to check its certificate."
		f.Operator, f.Blocked = true, true
	case at == stageDial:
		f.Reason = "The mail server can't be reached."
	default:
		f.Reason = "The conversation with the mail server broke off."
	}
	f.Err = loggable(at, err)
	return f
}

// maxCause is the longest cause that is logged, in bytes.
const maxCause = 300

// unspeakable is what a server's reply may repeat of what it was told: addresses, links with tokens in them, and
// whatever else is as long as a token.
var unspeakable = regexp.MustCompile(`\S*(@|://|[A-Za-z0-9+/=_-]{24})\S*`)

// loggable keeps of an error what helps an operator. A reply is another's text, and a reply to the login may repeat the
// password: of that one only the codes are kept.
func loggable(at stage, err error) error {
	var reply *textproto.Error
	switch {
	case !errors.As(err, &reply):
		return err
	case at == stageLogin:
		return fmt.Errorf("%d %s", reply.Code, enhancedCode.FindString(reply.Msg))
	default:
		return fmt.Errorf("%d %s", reply.Code, shorten(line(unspeakable.ReplaceAllString(reply.Msg, "…")), maxCause))
	}
}

// replyFailure reads a negative reply. Only what is held against the recipient
// or the content is final; what is held against the sender, the login or this
// server is the operator's to mend, and the mail must survive until then.
func replyFailure(at stage, reply *textproto.Error) *delivery.Failure {
	operators := func(refused string) *delivery.Failure {
		return &delivery.Failure{
			Reason: fmt.Sprintf("The mail server refused the %s (%d); the operator has to check the mail settings.",
				refused, reply.Code),
			Operator: true, Blocked: at < stageRecipient,
		}
	}
	passing := reply.Code < 500
	switch {
	case at == stageRecipient && passing:
		return &delivery.Failure{
			Reason: fmt.Sprintf("The mail server does not take mail for this address now %s.", replyCodes(reply)),
		}
	case passing:
		return &delivery.Failure{Reason: fmt.Sprintf("The mail server asked to try again later (%d).", reply.Code)}
	case at < stageLogin:
		return operators("connection")
	case at == stageLogin:
		return operators("login")
	case at == stageSender, isOperators(reply):
		return operators("sender")
	case at == stageRecipient, isAddress(reply):
		return &delivery.Failure{
			Reason: fmt.Sprintf("The mail server refused the address %s. "+
				"Invite them at another address, or send the invitation again once this one works.", replyCodes(reply)),
			Final: true,
		}
	}
	return &delivery.Failure{
		Reason: fmt.Sprintf("The mail server refused the message %s. "+
			"Invite them anew with another personal text, or ask the operator.", replyCodes(reply)),
		Final: true,
	}
}

// isOperators finds refusals that are spoken at RCPT or later but mean somebody
// else: servers such as Postfix put off complaints about login and sender until
// then. The codes are those of RFC 4954, section 6, of RFC 3463, sections 3.2 and
// 3.8, and of RFC 7372 and RFC 7505 for a sender whose DKIM, SPF, reverse DNS or
// MX is found wanting.
func isOperators(reply *textproto.Error) bool {
	switch reply.Code {
	case 503, 530, 534, 535, 538:
		return true
	}
	switch enhancedCode.FindString(reply.Msg) {
	case "5.1.7", "5.1.8", "5.3.5", "5.4.6", "5.7.0", "5.7.8", "5.7.9", "5.7.60",
		"5.7.20", "5.7.21", "5.7.22", "5.7.23", "5.7.24", "5.7.25", "5.7.26", "5.7.27":
		return true
	}
	return isRelaying.MatchString(reply.Msg)
}

// isRelaying finds what the codes don't tell: "554 5.7.1" is a recipient's policy, and as well what servers say whose
// client is not let through, has not logged in, or stands on a block list.
var isRelaying = regexp.MustCompile(`(?i)\brelay|client host|blocked using`)

// isAddress finds refusals of the address, or of the mailbox behind it, that are
// spoken only at the content (RFC 3463, sections 3.2 and 3.3).
func isAddress(reply *textproto.Error) bool {
	enhanced := enhancedCode.FindString(reply.Msg)
	return strings.HasPrefix(enhanced, "5.1.") || strings.HasPrefix(enhanced, "5.2.")
}

// meanings of enhanced status codes, by subject and detail (RFC 3463, section 3, and RFC 7505).
var meanings = map[string]string{
	"1.1":  "there is no such mailbox",
	"1.2":  "there is no such domain",
	"1.3":  "the address is not well formed",
	"1.10": "the domain takes no mail",
	"2.1":  "the mailbox is closed",
	"2.2":  "the mailbox is full",
	"2.3":  "the mail is too large for it",
	"3.4":  "the mail is too large",
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
