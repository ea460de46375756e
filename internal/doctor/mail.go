package doctor

import (
	"context"
	"errors"
	"time"

	"invited/internal/delivery"
	"invited/internal/mail"
)

// CheckMailServer connects to the mail server, with TLS and login as for a mail, and sends nothing.
func CheckMailServer(ctx context.Context, smtp *mail.SMTP, now time.Time) []Finding {
	probe, err := smtp.Probe(ctx)
	if err != nil {
		return []Finding{mailFailure(smtp, err)}
	}
	login := "without a login"
	if probe.LoggedIn {
		login = "and accepted the login"
	}
	if probe.CertificateEnds.IsZero() {
		const message = "The mail server at %s answered %s, in the clear."
		if smtp.IsLocal() {
			return []Finding{ok(message, smtp.Server(), login)}
		}
		return []Finding{note("Use smtp:// or smtps://.", message, smtp.Server(), login)}
	}
	return []Finding{
		ok("The mail server at %s answered with %s %s.", smtp.Server(), probe.TLS, login),
		judgeCertificate(smtp.Server(), probe.CertificateEnds, now),
	}
}

func mailFailure(smtp *mail.SMTP, err error) Finding {
	f := wrong("Check INVITED_SMTP_URL, the name in DNS and the firewall; many networks block port 25.", "The mail server at %s: %s", smtp.Server(), err)
	var failure *delivery.Failure
	if errors.As(err, &failure) && failure.Operator {
		f.Advice = "Check user and password in INVITED_SMTP_URL, INVITED_MAIL_FROM, and INVITED_SMTP_CA_FILE for a certificate of your own."
	}
	return f
}

// SendLetter sends a test letter.
func SendLetter(ctx context.Context, transport mail.Transport, m mail.Message) Finding {
	if err := transport.Send(ctx, m); err != nil {
		return wrong("Read what the mail server says, and ask its operator.", "The test letter to %s was not sent: %s", m.To, err)
	}
	return note("Look whether it arrives, and for spf=pass, dkim=pass and dmarc=pass in its line Authentication-Results.",
		"The test letter to %s was handed over.", m.To)
}

// Letter returns a test letter of a site. id is its Message-ID.
func Letter(site, to, id string, now time.Time) mail.Message {
	const text = "This letter was sent by `invited doctor --send-to`. Nobody is invited by it.\n\n" +
		"Look at its header Authentication-Results: it should have spf=pass, dkim=pass and dmarc=pass.\n"
	return mail.Message{
		ID: id, To: to, Date: now, Subject: "Test letter of " + site, Text: text,
		HTML: "<!doctype html>\n<html lang=\"en\"><head><title>Test letter</title></head><body>\n" +
			"<p>This letter was sent by <code>invited doctor --send-to</code>. Nobody is invited by it.</p>\n" +
			"<p>Look at its header <code>Authentication-Results</code>: it should have spf=pass, dkim=pass and dmarc=pass.</p>\n</body></html>\n",
	}
}
