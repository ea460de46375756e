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

// stage is the step of an SMTP session.
type stage int

const (
	stageDial stage = iota
	stageGreeting
	stageTLS // STARTTLS
	stageAuth
	stageMail
	stageRcpt
	stageData
	stageContent      // the content is being sent
	stageContentReply // the content is sent, and the reply to it is due
)

// enhancedCode matches the enhanced status code (RFC 3463) with which the text of a reply may begin.
var enhancedCode = regexp.MustCompile(`^[245]\.\d{1,3}\.\d{1,3}\b`)

// smtpFailure returns the failure that an error at a stage means: what to tell people, and whether it is final or has
// to be fixed by the operator.
func smtpFailure(ctx context.Context, at stage, err error) *delivery.Failure {
	f := &delivery.Failure{}
	var reply *textproto.Error
	var network net.Error
	switch {
	case errors.Is(err, errNoSTARTTLS):
		f.Reason = "The mail server offers no STARTTLS; the operator has to check its URL: use smtps://, or " +
			"smtp+insecure:// to send in the clear."
		f.Operator, f.Blocked = true, true
	case errors.Is(err, errNoMechanism):
		f.Reason = "The mail server offers no secure login; the operator has to check the mail settings."
		f.Operator, f.Blocked = true, true
	case errors.As(err, &reply) && isNegative(reply):
		f = replyFailure(at, reply)
	case errors.Is(ctx.Err(), context.Canceled):
		f.Reason = "Sending was interrupted."
	case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		f.Reason = "The mail server did not answer in time."
	case at == stageTLS, at < stageTLS && isTLSError(err):
		f.Reason = "No secure connection to the mail server could be made; the operator has to check its TLS and certificate."
		f.Operator, f.Blocked = true, true
	case at == stageDial:
		f.Reason = "The mail server can't be reached."
	default:
		f.Reason = "The conversation with the mail server broke off."
	}
	f.Err = causeForLog(at, err)
	return f
}

// maxCauseRunes is the length, in characters, to which a logged cause is truncated.
const maxCauseRunes = 300

// sensitive matches what a reply may repeat of what the client sent: addresses, links with tokens, and any other word
// that is as long as a token.
var sensitive = regexp.MustCompile(`\S*(@|://|[A-Za-z0-9+/=_-]{24})\S*`)

// causeForLog returns the part of an error that may be logged. The text of a reply is the server's: sensitive words are
// removed, and of a reply to AUTH, which may repeat the password, only the codes remain.
func causeForLog(at stage, err error) error {
	var reply *textproto.Error
	switch {
	case !errors.As(err, &reply):
		return err
	case at == stageAuth:
		return fmt.Errorf("%d %s", reply.Code, enhancedCode.FindString(reply.Msg))
	default:
		return fmt.Errorf("%d %s", reply.Code, truncate(sanitizeLine(sensitive.ReplaceAllString(reply.Msg, "…")), maxCauseRunes))
	}
}

// replyFailure returns the failure that a negative reply means. Only a refusal of the recipient or of the content is
// final. A refusal of the sender, the login or this host has to be fixed by the operator, and the mail must survive
// until then.
func replyFailure(at stage, reply *textproto.Error) *delivery.Failure {
	operatorFailure := func(refused string) *delivery.Failure {
		return &delivery.Failure{
			Reason: fmt.Sprintf("The mail server refused the %s (%d); the operator has to check the mail settings.",
				refused, reply.Code),
			Operator: true, Blocked: at < stageRcpt,
		}
	}
	transient := reply.Code < 500 // RFC 5321, section 4.2.1
	switch {
	case at == stageTLS && reply.Code != 421: // 454, too, may come from somebody who wants the mails in the clear
		return operatorFailure("encryption")
	case at == stageRcpt && transient:
		return &delivery.Failure{
			Reason: fmt.Sprintf("The mail server does not take mail for this address now %s.", describeReply(reply)),
		}
	case transient:
		return &delivery.Failure{Reason: fmt.Sprintf("The mail server asked to try again later (%d).", reply.Code)}
	case at < stageAuth:
		return operatorFailure("connection")
	case at == stageAuth:
		return operatorFailure("login")
	case at == stageMail, concernsSender(reply):
		return operatorFailure("sender")
	case at == stageRcpt, concernsRecipient(reply):
		return &delivery.Failure{
			Reason: fmt.Sprintf("The mail server refused the address %s. "+
				"Invite them at another address, or send the invitation again once this one works.", describeReply(reply)),
			Final: true,
		}
	}
	return &delivery.Failure{
		Reason: fmt.Sprintf("The mail server refused the message %s. "+
			"Invite them again with another personal text, or ask the operator.", describeReply(reply)),
		Final: true,
	}
}

// concernsSender reports whether a refusal is about the sender, the login or this host, although the server sent it
// at RCPT or later: servers such as Postfix delay these refusals until then. The codes are those of RFC 4954, section
// 6; of RFC 3463, sections 3.2 and 3.8; and of RFC 7372 and RFC 7505 for a sender whose DKIM, SPF, reverse DNS or MX
// fails a check.
func concernsSender(reply *textproto.Error) bool {
	switch reply.Code {
	case 503, 530, 534, 535, 538:
		return true
	}
	switch enhancedCode.FindString(reply.Msg) {
	case "5.1.7", "5.1.8", "5.3.5", "5.4.6", "5.7.0", "5.7.8", "5.7.9", "5.7.60",
		"5.7.20", "5.7.21", "5.7.22", "5.7.23", "5.7.24", "5.7.25", "5.7.26", "5.7.27":
		return true
	}
	return relayDenied.MatchString(reply.Msg)
}

// relayDenied matches refusals that the codes do not distinguish: "554 5.7.1" can be the policy of one recipient, but
// servers also send it to a client that may not relay, has not authenticated, or is on a block list.
var relayDenied = regexp.MustCompile(`(?i)\brelay|client host|blocked using`)

// concernsRecipient reports whether a refusal is about the address or its mailbox, although the server sent it only
// after the content (RFC 3463, sections 3.2 and 3.3).
func concernsRecipient(reply *textproto.Error) bool {
	enhanced := enhancedCode.FindString(reply.Msg)
	return strings.HasPrefix(enhanced, "5.1.") || strings.HasPrefix(enhanced, "5.2.")
}

// statusMeanings explains enhanced status codes by their subject and detail (RFC 3463, section 3, and RFC 7505).
var statusMeanings = map[string]string{
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

// describeReply returns what users learn about a reply: its code, its enhanced status code, and what that means. The
// text of the reply is left out, because it may name hosts and addresses that users must not learn.
func describeReply(reply *textproto.Error) string {
	enhanced := enhancedCode.FindString(reply.Msg)
	if enhanced == "" {
		return fmt.Sprintf("(%d)", reply.Code)
	}
	if meaning := statusMeanings[enhanced[2:]]; meaning != "" {
		return fmt.Sprintf("(%d %s: %s)", reply.Code, enhanced, meaning)
	}
	return fmt.Sprintf("(%d %s)", reply.Code, enhanced)
}

// isTLSError reports whether err is a failed handshake. Some errors of crypto/tls have no type of their own.
func isTLSError(err error) bool {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	return errors.As(err, &certificate) || errors.As(err, &record) || errors.As(err, &alert) ||
		strings.Contains(err.Error(), "tls: ")
}
