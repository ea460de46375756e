package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"regexp"
	"strconv"
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

// failureWord returns the word by which a trace tells failures apart: the code of the server's reply, or that there was none; ""
// for no error.
func failureWord(err error) string {
	if err == nil {
		return ""
	}
	if reply := replyOf(err); reply != nil {
		return strconv.Itoa(reply.Code)
	}
	return "connection"
}

// smtpFailure returns the failure that an error at a stage means: what to tell people, and whether it is final or has
// to be fixed by the operator. recipient is the address to which the message goes.
func smtpFailure(ctx context.Context, at stage, recipient string, err error) *delivery.Failure {
	f := &delivery.Failure{}
	reply := replyOf(err)
	var network net.Error
	switch {
	case errors.Is(err, errNoSTARTTLS):
		f.Reason = "The mail server offers no STARTTLS; the operator has to check its URL: use smtps://, or " +
			"smtp+insecure:// to send in the clear."
		f.Operator, f.Blocked = true, true
	case errors.Is(err, errNoMechanism):
		f.Reason = "The mail server offers no secure login; the operator has to check the mail settings."
		f.Operator, f.Blocked = true, true
	case reply != nil && isNegative(reply):
		f = replyFailure(at, recipient, reply)
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

const (
	// maxReplyText is the length in bytes of the beginning of a reply's text that is read.
	maxReplyText = 2 << 10
	// replyTextEnd is the length in bytes of the end of a longer text that is read as well: qmail writes its code there.
	replyTextEnd = 100
)

// replyOf returns the reply that an error is, or nil. Of a text longer than maxReplyText, only the beginning and the end
// remain, without the words that are cut in two: such a part of a token would not be recognized as one.
func replyOf(err error) *textproto.Error {
	var reply *textproto.Error
	if !errors.As(err, &reply) || len(reply.Msg) <= maxReplyText {
		return reply
	}
	begin, end := reply.Msg[:maxReplyText], reply.Msg[len(reply.Msg)-replyTextEnd:]
	begin = begin[:strings.LastIndexAny(begin, " \n")+1]
	end = end[strings.IndexAny(end, " \n")+1:]
	return &textproto.Error{Code: reply.Code, Msg: begin + end}
}

// maxCauseRunes is the length, in characters, to which a logged cause is truncated.
const maxCauseRunes = 300

// sensitive matches what a reply may repeat of what the client sent: addresses, links with tokens, and any other word
// that is as long as a token.
var sensitive = regexp.MustCompile(`\S*(@|://|[A-Za-z0-9+/=_-]{24})\S*`)

// causeForLog returns the part of an error that may be logged. The text of a reply is the server's: sensitive words are
// removed, and of a reply to AUTH, which may repeat the password, only the codes remain.
func causeForLog(at stage, err error) error {
	reply := replyOf(err)
	switch {
	case reply == nil:
		return err
	case at == stageAuth:
		return fmt.Errorf("%d %s", reply.Code, enhancedCode(reply.Msg))
	default:
		return fmt.Errorf("%d %s", reply.Code, truncate(sanitizeLine(sensitive.ReplaceAllString(reply.Msg, "…")), maxCauseRunes))
	}
}

// isTLSError reports whether err is a failed handshake. Some errors of crypto/tls have no type of their own.
func isTLSError(err error) bool {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	return errors.As(err, &certificate) || errors.As(err, &record) || errors.As(err, &alert) ||
		strings.Contains(err.Error(), "tls: ")
}
