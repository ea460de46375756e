package mail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	netmail "net/mail"
	"regexp"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// Message is a mail that is ready to send. Its sender is a setting of the [Transport].
type Message struct {
	ID      string    // Message-ID without angle brackets, the same in every attempt
	To      string    // one address, without a display name
	ReplyTo string    // one address, with or without a display name; "" for none, and left out where it can't be used
	Date    time.Time // when the mail was made, the same in every attempt
	Subject string    // one line, not encoded
	Text    string    // the text/plain body; lines end in "\n"
	HTML    string    // the text/html body; lines end in "\n"
}

// Transport sends messages: [SMTP] or [Folder]. Both are safe for concurrent use.
type Transport interface {
	// Send returns nil once the message is accepted, and otherwise a *delivery.Failure.
	Send(ctx context.Context, m Message) error

	// Close releases what is held for further messages. It does not wait for a running Send. A later Send still works,
	// and then holds nothing.
	Close()
}

// messageID matches an id of RFC 5322, section 3.6.4, without its obsolete forms (section 4), at a length that fits
// any line.
var messageID = regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+/=?^_{|}~.-]{1,120}@[A-Za-z0-9.-]{1,253}$`)

// validate returns an error for values that only a defect of the caller can produce.
func (m Message) validate() error {
	switch {
	case !messageID.MatchString(m.ID):
		return errors.New("the Message-ID is not of the form left@right")
	case m.Date.IsZero():
		return errors.New("the mail has no date")
	case m.Subject == "" || m.Text == "" || m.HTML == "":
		return errors.New("the mail has an empty subject, text or HTML")
	}
	return nil
}

// EML returns m in the form of RFC 5322, as it is sent and as it is stored in an .eml file. from is the sender,
// written as "Name <user@example.com>" or "user@example.com".
//
// A from that is not one address is an error. A message that cannot be sent is a *delivery.Failure.
func (m Message) EML(from string) ([]byte, error) {
	sender, err := parseSender(from)
	if err != nil {
		return nil, err
	}
	raw, _, err := compose(sender, m)
	return raw, err
}

// compose returns m in the form of RFC 5322, and the recipient's address for the envelope (RCPT TO). Every error is a
// *delivery.Failure.
func compose(from *netmail.Address, m Message) (raw []byte, recipient string, err error) {
	if recipient, err = parseRecipient(m.To); err != nil {
		return nil, "", err
	}
	if err := m.validate(); err != nil {
		return nil, "", renderFailure(err)
	}
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(from)
	msg.ToMailAddress(&netmail.Address{Address: recipient})
	msg.SetMessageIDWithValue(m.ID)
	msg.SetDateWithValue(m.Date.UTC())
	if replyTo, err := parseSender(m.ReplyTo); err == nil {
		msg.ReplyToMailAddress(replyTo)
	}
	if subject := sanitizeLine(m.Subject); isASCII(subject) {
		msg.Subject(subject)
	} else {
		msg.SetGenHeaderPreformatted(gomail.HeaderSubject, encodeSubject(subject))
	}
	// These ask for no automatic replies: RFC 3834, section 5, and its counterpart in Exchange, where "All" would suppress
	// reports that the mail did not arrive.
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetGenHeader("X-Auto-Response-Suppress", "OOF, AutoReply")
	// A mail reader prefers the last alternative (RFC 2046, section 5.1.4).
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	var b bytes.Buffer
	if _, err := msg.WriteTo(&b); err != nil {
		return nil, "", renderFailure(fmt.Errorf("writing the message: %w", err))
	}
	return b.Bytes(), recipient, nil
}
