package mail

import (
	"bytes"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jhillyerd/enmime/v2"
	"github.com/stretchr/testify/require"
)

func preview(t testing.TB, name string) Message {
	t.Helper()
	m, err := newRenderer(t).Preview(name, "https://portal.example.com/")
	require.NoError(t, err)
	return m
}

func TestPreview(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{
		"invitation_created", "invitation_reminder", "invitation_requested", "invitation_requests", "invitation_rejected",
		"invitation_expired", "invitation_refused", "invitation_declined", "invitation_scope_removed", "invitation_accepted",
		"invitation_undeliverable", "invitation_renewal_asked", "permission_request_submitted", "permission_requests_submitted",
		"permission_request_rejected", "sign_in_code",
	}, PreviewNames())
	seen := make(map[string]string)
	for _, name := range PreviewNames() {
		m := preview(t, name)
		require.Empty(t, seen[m.Subject])
		if name != "permission_request_submitted" { // the gathered form has the same subject
			seen[m.Subject] = name
		}
		require.Equal(t, m, preview(t, name), "always the same")
		facts := []string{"Example Portal", "Apollo", "Acme", "System administrator"}
		if name == string(SignInCode) {
			facts = []string{"Example Portal", "204816"}
		}
		for _, fact := range facts {
			require.Contains(t, m.Text, fact, name)
		}
		for _, link := range links(t, m) {
			require.True(t, strings.HasPrefix(link, "https://portal.example.com/"), link)
			require.Contains(t, link, map[bool]string{true: "SAMPLE", false: sampleID}[strings.Contains(link, "_")])
		}
		withoutSlash, err := newRenderer(t).Preview(name, "https://portal.example.com")
		require.NoError(t, err)
		require.Equal(t, m, withoutSlash, "with and without a slash")
	}
	require.Equal(t, "invitation_reminder", seen["REMINDER: Invitation to Apollo project"])
	require.Contains(t, preview(t, "invitation_reminder").Text, "This is a reminder")
	created := preview(t, "invitation_created")
	require.Contains(t, created.Text, "Olivia Owner invites you")
	require.Contains(t, created.Text, "cluster, and I would like you to look after them.\n>\n> The first run")
	require.Contains(t, created.Text, created.Date.AddDate(0, 0, 7).Format("2 January 2006, 15:04 UTC"))

	_, err := newRenderer(t).Preview("invitation", "https://portal.example.com/")
	require.EqualError(t, err, `there is no mail "invitation"; there are invitation_created, invitation_reminder, `+
		"invitation_requested, invitation_requests, invitation_rejected, invitation_expired, invitation_refused, "+
		"invitation_declined, invitation_scope_removed, invitation_accepted, invitation_undeliverable, invitation_renewal_asked, "+
		"permission_request_submitted, permission_requests_submitted, permission_request_rejected, sign_in_code")
	_, err = newRenderer(t).Preview("invitation_created", "portal.example.com")
	require.ErrorContains(t, checkFailure(t, err).Err, "not an absolute http or https URL")
}

var (
	textLink = regexp.MustCompile(`https?://\S+`)
	htmlLink = regexp.MustCompile(`href="([^"]*)"`)
)

// links returns the links of a mail, each once, and asserts that its text and its HTML have the same ones. Every mail has
// links but the one with a code, the one about a scope that is not there any more, and the one to who asked to join.
func links(t testing.TB, m Message) []string {
	t.Helper()
	inText := textLink.FindAllString(m.Text, -1)
	var inHTML []string
	for _, found := range htmlLink.FindAllStringSubmatch(m.HTML, -1) {
		inHTML = append(inHTML, html.UnescapeString(found[1]))
	}
	sorted := func(all []string) []string {
		slices.Sort(all)
		return slices.Compact(all)
	}
	inText, inHTML = sorted(inText), sorted(inHTML)
	require.Equal(t, inText, inHTML)
	hasNone := strings.Contains(m.Text, "your code is") || strings.Contains(m.Text, "was removed") || strings.Contains(m.Text, "Your request to join")
	require.Equal(t, hasNone, len(inText) == 0)
	return inText
}

// TestEveryMailOnTheWire sends each mail to a real server, from a sender whose name needs encoding, and checks the
// bytes.
func TestEveryMailOnTheWire(t *testing.T) {
	t.Parallel()
	server := newSMTPRecorder(t, recorderOptions{})
	s, err := NewSMTP("smtp://"+server.addr, `"Bürgerportal, Nord" <no-reply@example.com>`)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	for i, name := range PreviewNames() {
		m := preview(t, name)
		m.Subject += " – Ünïcödé " + strings.Repeat("ж", 100)
		require.NoError(t, boundedSend(t.Context(), s, m))
		got := server.received()
		require.Len(t, got, i+1)
		require.Equal(t, []string{m.To}, got[i].to)
		envelope := checkWire(t, got[i].data, m)
		senders, err := envelope.AddressList("From")
		require.NoError(t, err)
		require.Len(t, senders, 1)
		require.Equal(t, "Bürgerportal, Nord", senders[0].Name)
		require.Equal(t, "no-reply@example.com", senders[0].Address)
		for _, header := range []string{"From", "Subject"} {
			value := regexp.MustCompile(`(?m)^` + header + `:((?:.|\n )*)$`).FindSubmatch(got[i].data)[1]
			value = bytes.TrimSuffix(bytes.TrimSpace(value), []byte(" <no-reply@example.com>"))
			for word := range bytes.FieldsSeq(value) {
				require.Regexp(t, `^=\?(?i:utf-8)\?[qb]\?[!->@-~]+\?=$`, string(word), "RFC 2047, section 2")
				require.LessOrEqual(t, len(word), 75)
			}
		}
		links(t, Message{Text: envelope.Text, HTML: envelope.HTML})
	}
}

func TestEML(t *testing.T) {
	t.Parallel()
	for _, name := range PreviewNames() {
		m := preview(t, name)
		raw, err := m.EML(fromHeader)
		require.NoError(t, err)
		checkWire(t, raw, m)
		require.Contains(t, string(raw), "From: \"Example Portal\" <no-reply@example.com>\r\n")
	}
	_, err := preview(t, "invitation_created").EML("nobody")
	require.ErrorContains(t, err, "the sender of mails")
	_, err = Message{To: "bob@example.org"}.EML(fromHeader)
	require.True(t, checkFailure(t, err).Operator)
	_, err = Message{To: "bob"}.EML(fromHeader)
	require.True(t, checkFailure(t, err).Final)
}

// Escaping must not change where a link leads.
func TestLinksWithSpecialCharacters(t *testing.T) {
	t.Parallel()
	v := testInvitation()
	v.Link = "https://portal.example.com/?a=1&b=%20" + url.QueryEscape(`"<>`) + "#x"
	request := v
	request.ApproveLink, request.RejectLink = v.Link, v.Link+"y"
	v.Requests = []Invitation{request}
	for _, kind := range kinds {
		m := render(t, kind, v)
		raw, err := m.EML(fromHeader)
		require.NoError(t, err)
		envelope, err := enmime.ReadEnvelope(strings.NewReader(string(raw)))
		require.NoError(t, err)
		links(t, Message{Text: envelope.Text, HTML: envelope.HTML})
	}
}
