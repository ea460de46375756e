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

// Message is a mail that is ready to send, but for its sender, whom the
// [Transport] knows.
type Message struct {
	ID      string    // Message-ID without angle brackets, the same in every attempt
	To      string    // one bare address
	Date    time.Time // when the mail was made, the same in every attempt
	Subject string    // one line, not encoded
	Text    string
	HTML    string
}

// Transport hands on messages. Both implementations are safe for concurrent
// use.
type Transport interface {
	// Send returns nil once the message is accepted, and a *delivery.Failure otherwise.
	Send(ctx context.Context, m Message) error

	// Close gives back what is kept for further messages. It doesn't wait for a
	// Send that runs, and a later one works as before, but leaves nothing behind.
	Close()
}

// messageID is an id of RFC 5322, section 3.6.4, without the forms that its
// section 4 calls obsolete, at a length that fits any line.
var messageID = regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+/=?^_{|}~.-]{1,120}@[A-Za-z0-9.-]{1,253}$`)

// validate finds what no caller should ever pass.
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

// EML returns m as it goes over the wire, which is also the form of an .eml file.
// from is its sender, written as "Name <user@example.com>" or "user@example.com".
// A from that is not one address is an error, and so is, as a *delivery.Failure,
// a message that could never be sent.
func (m Message) EML(from string) ([]byte, error) {
	sender, err := parseSender(from)
	if err != nil {
		return nil, err
	}
	raw, _, err := compose(sender, m)
	return raw, err
}

// compose writes m in the form of RFC 5322 and returns it with the address for
// the envelope. Every error is a *delivery.Failure.
func compose(from *netmail.Address, m Message) (raw []byte, recipient string, err error) {
	if recipient, err = parseRecipient(m.To); err != nil {
		return nil, "", err
	}
	if err := m.validate(); err != nil {
		return nil, "", unrenderable(err)
	}
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(from)
	msg.ToMailAddress(&netmail.Address{Address: recipient})
	msg.SetMessageIDWithValue(m.ID)
	msg.SetDateWithValue(m.Date.UTC())
	msg.Subject(line(m.Subject))
	// RFC 3834, section 5, and its counterpart in Exchange: no answers from robots.
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetGenHeader("X-Auto-Response-Suppress", "All")
	// The last alternative is the one a reader prefers (RFC 2046, section 5.1.4).
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	var b bytes.Buffer
	if _, err := msg.WriteTo(&b); err != nil {
		return nil, "", unrenderable(fmt.Errorf("writing the message: %w", err))
	}
	return b.Bytes(), recipient, nil
}
