package mail

import (
	"bytes"
	"maps"
	netmail "net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jhillyerd/enmime/v2"
	"github.com/stretchr/testify/require"

	"invited/internal/delivery"
)

var fromAddress = &netmail.Address{Name: "Example Portal", Address: "no-reply@example.com"}

// checkWire asserts what holds for every message, whatever users typed: the bytes are within the limits of RFC 5322,
// the headers are exactly the expected ones, and there is one recipient.
func checkWire(t testing.TB, raw []byte, m Message) *enmime.Envelope {
	t.Helper()
	for l := range strings.SplitSeq(string(raw), "\r\n") {
		require.LessOrEqual(t, len(l), 998)
		require.NotContains(t, l, "\r")
		require.NotContains(t, l, "\n")
		require.True(t, isASCII(l) && !strings.Contains(l, "\x00"), "%q", l)
	}
	parsed, err := netmail.ReadMessage(bytes.NewReader(raw))
	require.NoError(t, err)
	headers := []string{
		"From", "To", "Date", "Message-Id", "Subject", "Mime-Version", "Content-Type",
		"Auto-Submitted", "X-Auto-Response-Suppress",
	}
	if replyTo, err := parseSender(m.ReplyTo); err == nil {
		headers = append(headers, "Reply-To")
		addresses, err := parsed.Header.AddressList("Reply-To")
		require.NoError(t, err)
		require.Equal(t, []*netmail.Address{replyTo}, addresses)
	}
	require.ElementsMatch(t, headers, slices.Collect(maps.Keys(parsed.Header)))
	if !isASCII(m.Subject) {
		require.Regexp(t, `\r\nSubject: =\?utf-8\?q\?[^?]+\?=\r\n`, string(raw), "not folded right behind the colon")
	}
	for name, values := range parsed.Header {
		require.Len(t, values, 1, name)
	}
	require.Equal(t, "auto-generated", parsed.Header.Get("Auto-Submitted"))
	require.Equal(t, "OOF, AutoReply", parsed.Header.Get("X-Auto-Response-Suppress"))
	require.Equal(t, "<"+m.ID+">", parsed.Header.Get("Message-ID"))
	date, err := parsed.Header.Date()
	require.NoError(t, err)
	require.True(t, m.Date.Equal(date))
	to, err := parsed.Header.AddressList("To")
	require.NoError(t, err)
	require.Len(t, to, 1)
	require.Equal(t, netmail.Address{Address: m.To}, *to[0])

	envelope, err := enmime.ReadEnvelope(bytes.NewReader(raw))
	require.NoError(t, err)
	require.Empty(t, envelope.Errors)
	require.Equal(t, m.Subject, envelope.GetHeader("Subject"))
	require.Equal(t, m.Text, strings.ReplaceAll(envelope.Text, "\r\n", "\n"))
	require.Equal(t, m.HTML, strings.ReplaceAll(envelope.HTML, "\r\n", "\n"))
	require.Empty(t, envelope.Attachments)
	require.Equal(t, "multipart/alternative", envelope.Root.ContentType)
	require.Equal(t, "text/plain", envelope.Root.FirstChild.ContentType)
	require.Equal(t, "text/html", envelope.Root.FirstChild.NextSibling.ContentType)
	require.Nil(t, envelope.Root.FirstChild.NextSibling.NextSibling)
	require.Equal(t, "utf-8", strings.ToLower(envelope.Root.FirstChild.Charset))
	return envelope
}

func TestCompose(t *testing.T) {
	t.Parallel()
	v := testInvitation()
	v.ScopeName = "Проект «Аполлон» " + strings.Repeat("очень длинный ", 20)
	m := render(t, InvitationCreated, v)
	raw, recipient, err := compose(fromAddress, m)
	require.NoError(t, err)
	require.Equal(t, "bob@example.org", recipient)
	checkWire(t, raw, m)
	require.Contains(t, string(raw), "From: \"Example Portal\" <no-reply@example.com>\r\n")
	require.Contains(t, string(raw), "To: <bob@example.org>\r\n")
	require.Contains(t, string(raw), "Date: Mon, 23 Nov 2026 09:30:00 +0000\r\n")
	require.NotContains(t, strings.ToLower(string(raw)), "go-mail")
	for l := range strings.SplitSeq(string(raw), "\r\n") {
		require.LessOrEqual(t, len(l), 78, "RFC 5322, section 2.1.1: lines that can be folded")
	}
}

// Subjects of every length are not folded right behind the colon, and are read as they were written.
func TestSubjectsAreFolded(t *testing.T) {
	t.Parallel()
	m := render(t, InvitationCreated, testInvitation())
	for _, letter := range []string{"é", "日", "🙂", "x é "} {
		for length := range 40 {
			m.Subject = "Invitation to " + strings.TrimSpace(strings.Repeat(letter, length)+"ü")
			raw, _, err := compose(fromAddress, m)
			require.NoError(t, err)
			checkWire(t, raw, m)
			for l := range strings.SplitSeq(string(raw), "\r\n") {
				require.LessOrEqual(t, len(l), 76)
			}
		}
	}
}

// An address to reply to adds one header, whatever it is; one that can't be used adds none.
func TestReplyTo(t *testing.T) {
	t.Parallel()
	m := render(t, InvitationCreated, testInvitation())
	for _, each := range []struct{ replyTo, header string }{
		{"", ""},
		{"alice@example.com", "<alice@example.com>"},
		{"Help Désk <help@example.com>", `=?utf-8?q?Help_D=C3=A9sk?= <help@example.com>`},
		{"alice@bücher.example", "<alice@xn--bcher-kva.example>"},
		{"nobody", ""},
		{"a@x.org, b@x.org", ""},
		{"a@x.org\r\nBcc: b@x.org", ""},
		{"ürsula@example.com", ""},
	} {
		m.ReplyTo = each.replyTo
		raw, _, err := compose(fromAddress, m)
		require.NoError(t, err)
		checkWire(t, raw, m)
		parsed, err := netmail.ReadMessage(bytes.NewReader(raw))
		require.NoError(t, err)
		require.Equal(t, each.header, parsed.Header.Get("Reply-To"), each.replyTo)
	}
}

func TestComposeRefuses(t *testing.T) {
	t.Parallel()
	good := render(t, InvitationCreated, testInvitation())
	for name, change := range map[string]func(*Message){
		"no recipient":   func(m *Message) { m.To = "" },
		"two recipients": func(m *Message) { m.To = "a@x.org, b@x.org" },
		"header in To":   func(m *Message) { m.To = "a@x.org\r\nBcc: b@x.org" },
		"no id":          func(m *Message) { m.ID = "" },
		"header in id":   func(m *Message) { m.ID = "1@x>\r\nBcc: <b@x.org" },
		"no date":        func(m *Message) { m.Date = time.Time{} },
		"no subject":     func(m *Message) { m.Subject = "" },
		"no HTML":        func(m *Message) { m.HTML = "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := good
			change(&m)
			_, _, err := compose(fromAddress, m)
			failure := checkFailure(t, err)
			require.NotEqual(t, failure.Final, failure.Operator)
		})
	}
	m := good
	m.Subject = "one\r\nBcc: eve@example.org"
	raw, _, err := compose(fromAddress, m)
	require.NoError(t, err)
	m.Subject = "one Bcc: eve@example.org"
	checkWire(t, raw, m)
}

// hostileValues test, in each field, the rule that nothing a user typed adds a header, a recipient or markup.
var hostileValues = []string{
	"a\r\nBcc: eve@example.org\r\n\r\n<script>alert(1)</script>",
	"a\rBcc: eve@example.org", "a\nBcc: eve@example.org", "a\u2028Bcc: eve@example.org", "a\u0085Bcc: eve@example.org",
	"a\x00b", "\x1b[31mred", "<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`,
	"</title></style><b>", "{{.}}{{.Email}}", "\u202egpj.exe\u202c", "\u2066x\u2069\u200f", `"eve" <eve@example.org>,`,
	"=?utf-8?q?=0D=0ABcc:_eve@example.org?=", "==?utf-8?b?QQ==?=", "\xff\xfe", ".\r\n.\r\nMAIL FROM:<eve@example.org>",
	"--boundary--", strings.Repeat("x", 3000), strings.Repeat("é ", 1500), "   ", "%s%d%n", "javascript:alert(1)",
}

func TestHostileValues(t *testing.T) {
	t.Parallel()
	r, err := NewRenderer(hostileValues[0], "")
	require.NoError(t, err)
	fields := map[string]func(*Invitation) *string{
		"Email":           func(v *Invitation) *string { return &v.Email },
		"Inviter":         func(v *Invitation) *string { return &v.Inviter },
		"ScopeName":       func(v *Invitation) *string { return &v.ScopeName },
		"ScopeType":       func(v *Invitation) *string { return &v.ScopeType },
		"CustomerName":    func(v *Invitation) *string { return &v.CustomerName },
		"RoleName":        func(v *Invitation) *string { v.RoleDescription = ""; return &v.RoleName },
		"RoleDescription": func(v *Invitation) *string { return &v.RoleDescription },
		"ExtraText":       func(v *Invitation) *string { return &v.ExtraText },
	}
	for name, field := range fields {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, value := range hostileValues {
				v := testInvitation()
				*field(&v) = value
				v.Requests = []Invitation{v, testInvitation(), v}
				kind := kinds[(i+len(name))%len(kinds)]
				m, err := r.Render(kind, "bob@example.org", "1@example.com", sentAt, v)
				require.NoError(t, err)
				checkRendered(t, m)
				raw, _, err := compose(fromAddress, m)
				require.NoError(t, err)
				checkWire(t, raw, m)
			}
		})
	}
}

// checkRendered asserts that what users typed is still text.
func checkRendered(t testing.TB, m Message) {
	t.Helper()
	html := strings.ToLower(m.HTML)
	for _, markup := range []string{"<script", "<img", "<b>", "onerror=alert(1)>", "' onmouseover='", "javascript:alert(1)\""} {
		require.NotContains(t, html, markup)
	}
	require.Equal(t, 1, strings.Count(html, "</title>"))
	for _, part := range []string{m.Subject, m.Text, m.HTML} {
		for _, r := range part {
			require.True(t, r == '\n' || printableRune(r) == r, "%q", r)
		}
	}
	require.Equal(t, m.Subject, sanitizeLine(m.Subject))
	require.NotContains(t, m.Text, "\nBcc:")
}

// FuzzMessageHeaders fills every field with arbitrary bytes. Recipient, id and link may be refused; the other fields
// never are. Every composed message has exactly the expected headers and one recipient.
func FuzzMessageHeaders(f *testing.F) {
	r, err := NewRenderer("Example Portal", "")
	require.NoError(f, err)
	for i, s := range hostileValues {
		f.Add(uint(i), "bob@example.org", "1.created@example.com", s, s, s, s, s, s, "https://example.com/1/")
		f.Add(uint(i), s, s, "", "Apollo", "project", "Acme", "Admin", "", s)
	}
	f.Fuzz(func(t *testing.T, n uint, to, id, inviter, scope, scopeType, customer, role, extra, link string) {
		kind := kinds[n%uint(len(kinds))]
		v := Invitation{
			Email: to, Inviter: inviter, ScopeName: scope, ScopeType: scopeType, CustomerName: customer,
			RoleName: role, RoleDescription: customer, ExtraText: extra, Expires: expires, Reminder: n%2 == 0,
			Link: link, ApproveLink: link, RejectLink: link, More: int(n % 3),
		}
		v.Requests = []Invitation{v, v}
		m, err := r.Render(kind, to, id, sentAt, v)
		if err != nil {
			var failure *delivery.Failure
			require.ErrorAs(t, err, &failure)
			v.Link, v.ApproveLink, v.RejectLink = testInvitation().Link, testInvitation().ApproveLink, testInvitation().RejectLink
			v.Requests = []Invitation{v}
			m, err = r.Render(kind, "bob@example.org", "1@example.com", sentAt, v)
			require.NoError(t, err)
		}
		require.NotContains(t, strings.ToLower(m.HTML), "<script")
		raw, recipient, err := compose(fromAddress, m)
		require.NoError(t, err)
		require.Equal(t, m.To, recipient)
		checkWire(t, raw, m)
	})
}
