package mail

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files")

var (
	sentAt  = time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
	expires = time.Date(2026, 11, 30, 15, 5, 0, 0, time.FixedZone("CET", 3600))
)

// testInvitation returns an invitation with a value in every field.
func testInvitation() Invitation {
	return Invitation{
		Email:           "bob@example.org",
		Inviter:         "Alice Owner",
		ScopeName:       "Apollo",
		ScopeType:       "project",
		CustomerName:    "Acme",
		RoleName:        "PROJECT.ADMIN",
		RoleDescription: "System administrator",
		ExtraText:       "Hi Bob,\nwelcome to the team!\n\nSee you on Monday.",
		Link:            "https://portal.example.com/invitation/5d3f6f0e-1c8b-4b57-9a43-0c1f8a5f2a11/",
		ApproveLink:     "https://portal.example.com/invitation_approve/abc.def/",
		RejectLink:      "https://portal.example.com/invitation_reject/abc.def/",
		Expires:         expires,
	}
}

func newRenderer(t testing.TB) *Renderer {
	t.Helper()
	r, err := NewRenderer("Example Portal", "")
	require.NoError(t, err)
	return r
}

func render(t testing.TB, kind Kind, v Invitation) Message {
	t.Helper()
	m, err := newRenderer(t).Render(kind, "bob@example.org", "1.created@example.com", sentAt, v)
	require.NoError(t, err)
	return m
}

func TestRenderGolden(t *testing.T) {
	t.Parallel()
	bare := Invitation{
		Email: "bob@example.org", ScopeName: "Acme", ScopeType: "customer", CustomerName: "Acme",
		RoleName: "CUSTOMER.OWNER", Link: "https://portal.example.com/invitation/1/",
	}
	reminder := testInvitation()
	reminder.Reminder = true
	page := testInvitation()
	page.Link = "https://portal.example.com/projects/9e0c1a52-6f0d-4a3e-8d9e-2f6f6f3a7b10/"
	several := testInvitation()
	several.Requests, several.More = []Invitation{testInvitation(), approvable(bare), testInvitation()}, 1
	several.Requests[2].ScopeName, several.Requests[2].ExtraText = "Artemis", ""
	reason := page
	reason.Reason = "\nSorry: <no> room & no time.\n\nAsk in May.\x07\n"
	asked := page
	asked.Asker, asked.AskerEmail = "Bob Example", "bob@example.org"
	askedOfStaff := page
	askedOfStaff.Asker, askedOfStaff.ToStaff, askedOfStaff.Inviter = "bob@example.org", true, ""
	asks := asked
	asks.Link = "https://portal.example.com/organizations/9e0c1a52-6f0d-4a3e-8d9e-2f6f6f3a7b10/group-invitations/"
	forProject := asks
	forProject.ScopeName, forProject.ScopeType, forProject.CustomerName, forProject.ProjectName = "Acme", "customer", "", "Lab <of> Bob"
	beside := asks
	beside.Asker, beside.AskerEmail, beside.ProjectName = "eva@example.org", "", "Lab of Eva"
	one, gathered, elsewhere := asks, asks, asks
	one.Requests = []Invitation{forProject}
	gathered.Requests, gathered.More = []Invitation{asks, forProject, beside}, 1
	elsewhere.Link, elsewhere.Requests = "", []Invitation{asks, forProject}
	elsewhere.Requests[1].ScopeName, elsewhere.Requests[1].Link = "Hydra", "https://portal.example.com/organizations/2/group-invitations/"
	rejectedProject := forProject
	rejectedProject.Link = ""
	undelivered := page
	undelivered.Undelivered = true
	undelivered.Reason = "The mail server refused the address (550 5.1.1: there is no such mailbox). Invite them at another address."
	accepted := page
	accepted.AcceptedBy = "Bob Example"
	noPage := testInvitation()
	noPage.ScopeType, noPage.ScopeName, noPage.Link = "offering", "GPU nodes", ""
	for _, test := range []struct {
		name string
		kind Kind
		v    Invitation
	}{
		{"created", InvitationCreated, testInvitation()},
		{"created_reminder", InvitationCreated, reminder},
		{"created_bare", InvitationCreated, bare},
		{"requested", InvitationRequested, testInvitation()},
		{"requests", InvitationRequests, several},
		{"rejected", InvitationRejected, page},
		{"rejected_reason", InvitationRejected, reason},
		{"declined", InvitationDeclined, page},
		{"declined_reason", InvitationDeclined, reason},
		{"scope_removed", InvitationScopeRemoved, page},
		{"renewal_asked", InvitationRenewalAsked, asked},
		{"renewal_asked_staff", InvitationRenewalAsked, askedOfStaff},
		{"request_submitted", PermissionRequestSubmitted, withRequests(asks, asks)},
		{"request_submitted_project", PermissionRequestSubmitted, one},
		{"requests_submitted", PermissionRequestSubmitted, gathered},
		{"requests_submitted_elsewhere", PermissionRequestSubmitted, elsewhere},
		{"request_rejected_project", PermissionRequestRejected, rejectedProject},
		{"request_rejected", PermissionRequestRejected, noPage},
		{"request_rejected_comment", PermissionRequestRejected, reason},
		{"expired", InvitationExpired, page},
		{"expired_no_page", InvitationExpired, noPage},
		{"expired_undelivered", InvitationExpired, undelivered},
		{"undeliverable", InvitationUndeliverable, undelivered},
		{"accepted", InvitationAccepted, accepted},
		{"refused", InvitationRefused, page},
		{"code", SignInCode, Invitation{Email: "bob@example.org", Code: "204816", Expires: testInvitation().Expires}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := render(t, test.kind, test.v)
			golden(t, test.name+".txt", "Subject: "+m.Subject+"\n\n"+m.Text)
			golden(t, test.name+".html", m.HTML)
		})
	}
}

// withRequests returns an invitation with requests.
func withRequests(v Invitation, requests ...Invitation) Invitation {
	v.Requests = requests
	return v
}

// approvable returns an invitation with the links of testInvitation.
func approvable(v Invitation) Invitation {
	v.ApproveLink, v.RejectLink = testInvitation().ApproveLink, testInvitation().RejectLink
	return v
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got, "if the change is intended: go test ./internal/mail -update")
}

func TestSubjects(t *testing.T) {
	t.Parallel()
	for scopeType, word := range map[string]string{
		"customer": "organization", "project": "project", "offering": "offering", "call": "call", "proposal": "proposal",
	} {
		v := testInvitation()
		v.ScopeType = scopeType
		require.Equal(t, "Invitation to Apollo "+word, render(t, InvitationCreated, v).Subject)
		v.Reminder = true
		require.Equal(t, "REMINDER: Invitation to Apollo "+word, render(t, InvitationCreated, v).Subject)
	}
}

func TestTextAndHTMLHaveTheSameFacts(t *testing.T) {
	t.Parallel()
	common := []string{"Apollo", "Acme", "project", "System administrator", "Example Portal"}
	for kind, facts := range map[Kind][]string{
		InvitationCreated: {
			"Alice Owner", "bob@example.org", "welcome to the team!", "See you on Monday.",
			"30 November 2026, 14:05 UTC", testInvitation().Link, "did not expect",
		},
		InvitationRequested: {
			"Alice Owner", "bob@example.org", "welcome to the team!", "30 November 2026, 14:05 UTC",
			testInvitation().ApproveLink, testInvitation().RejectLink, "did not expect",
		},
		InvitationRequests: {
			"Alice Owner", "bob@example.org", "welcome to the team!", "30 November 2026, 14:05 UTC", "3 invitations wait",
			testInvitation().ApproveLink, testInvitation().RejectLink, "1 more request follows", "did not expect",
		},
		InvitationRejected:     {"bob@example.org", testInvitation().Link, "No room.", "Ask in May.", "did not expect"},
		InvitationDeclined:     {"bob@example.org", testInvitation().Link, "No room.", "Ask in May.", "declined", "did not expect"},
		InvitationScopeRemoved: {"bob@example.org", "was canceled", "was removed", "was not told", "did not expect"},
		InvitationRenewalAsked: {
			"Ina Invitee", "ina@example.org", "bob@example.org", testInvitation().Link, "30 November 2026, 14:05 UTC", "did not expect",
		},
		PermissionRequestSubmitted: {
			"Ina Invitee", "ina@example.org", "Lab of Ina", "makes the project", testInvitation().Link, "3 requests", "1 more request follows", "did not expect",
		},
		PermissionRequestRejected: {"No room.", "Ask in May.", "did not expect"},
		InvitationUndeliverable: {
			"bob@example.org", testInvitation().Link, "30 November 2026, 14:05 UTC", "No room.", "Ask in May.", "not tried again", "did not expect",
		},
		InvitationAccepted: {"Ina Invitee", "bob@example.org", testInvitation().Link, "has accepted", "did not expect"},
		InvitationExpired:  {"bob@example.org", testInvitation().Link, "30 November 2026, 14:05 UTC", "did not expect"},
		InvitationRefused:  {"bob@example.org", testInvitation().Link, "can’t be accepted", "did not expect"},
	} {
		v := testInvitation()
		v.Requests, v.More = []Invitation{v, v}, 1
		v.Reason, v.Asker, v.AskerEmail = "No room.\nAsk in May.", "Ina Invitee", "ina@example.org"
		v.AcceptedBy = "Ina Invitee"
		if kind == InvitationCreated || kind == InvitationRequested || kind == InvitationRequests || kind == InvitationAccepted {
			v.RoleEnds = time.Date(2027, time.June, 30, 12, 0, 0, 0, time.FixedZone("", 7200))
			v.Requests[0].RoleEnds = v.RoleEnds
			facts = append(facts, "until ", "30 June 2027, 10:00 UTC")
		}
		v.Requests[0].Asker, v.Requests[0].AskerEmail, v.Requests[0].ProjectName = v.Asker, v.AskerEmail, "Lab of Ina"
		m := render(t, kind, v)
		for _, fact := range append(facts, common...) {
			require.Contains(t, m.Text, fact, kind)
			require.Contains(t, m.HTML, fact, kind)
		}
		require.NotContains(t, m.HTML, "<img")
		require.NotContains(t, m.HTML, "<script")
		require.NotContains(t, m.HTML, "url(")
		require.NotContains(t, m.HTML, "ZgotmplZ")
	}
}

func TestExtraTextKeepsItsLines(t *testing.T) {
	t.Parallel()
	v := testInvitation()
	v.ExtraText = "\r\n\r\none\r\ntwo\rthree\u2028four\n\n\n\nfive\x00\x1b[31m\u202e\t!\n\n"
	require.Equal(t, []string{"one", "two", "three", "four", "", "five[31m !"}, v.ExtraLines())
	m := render(t, InvitationCreated, v)
	require.Contains(t, m.Text, "> one\n> two\n> three\n> four\n>\n> five[31m !\n")
	require.Contains(t, m.HTML, "one<br>two<br>three<br>four<br><br>five[31m !")
}

func TestRenderRefuses(t *testing.T) {
	t.Parallel()
	r := newRenderer(t)
	with := func(change func(*Invitation)) Invitation {
		v := testInvitation()
		change(&v)
		return v
	}
	for name, test := range map[string]struct {
		kind  Kind
		to    string
		id    string
		date  time.Time
		v     Invitation
		final bool
		cause string
	}{
		"recipient": {InvitationCreated, "bob", "1@x", sentAt, testInvitation(), true, ""},
		"kind":      {"other", "b@x.org", "1@x", sentAt, testInvitation(), false, "kind"},
		"id":        {InvitationCreated, "b@x.org", "1@x>\r\nBcc: c@x.org", sentAt, testInvitation(), false, "Message-ID"},
		"date":      {InvitationCreated, "b@x.org", "1@x", time.Time{}, testInvitation(), false, "date"},
		"no link":   {InvitationCreated, "b@x.org", "1@x", sentAt, with(func(v *Invitation) { v.Link = "" }), false, "link"},
		"script link": {
			InvitationCreated, "b@x.org", "1@x", sentAt,
			with(func(v *Invitation) { v.Link = "javascript:alert(1)" }), false, "link",
		},
		"link of two lines": {
			InvitationExpired, "b@x.org", "1@x", sentAt,
			with(func(v *Invitation) { v.Link = "https://x.org/\nBcc:" }), false, "link",
		},
		"no reject link": {
			InvitationRequested, "b@x.org", "1@x", sentAt,
			with(func(v *Invitation) { v.RejectLink = "" }), false, "reject link",
		},
		"no request":            {InvitationRequests, "b@x.org", "1@x", sentAt, testInvitation(), false, "no request"},
		"no permission request": {PermissionRequestSubmitted, "b@x.org", "1@x", sentAt, testInvitation(), false, "no request"},
		"no link of a permission request": {
			PermissionRequestSubmitted, "b@x.org", "1@x", sentAt,
			with(func(v *Invitation) { v.Requests = []Invitation{*v, {}} }), false, "link",
		},
		"no approve link of a request": {
			InvitationRequests, "b@x.org", "1@x", sentAt,
			with(func(v *Invitation) { v.Requests = []Invitation{*v, {RejectLink: v.RejectLink}} }), false, "approve link",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := r.Render(test.kind, test.to, test.id, test.date, test.v)
			failure := checkFailure(t, err)
			require.Equal(t, test.final, failure.Final)
			require.Equal(t, !test.final, failure.Operator)
			if test.cause != "" {
				require.ErrorContains(t, failure.Err, test.cause)
			}
		})
	}
}

func TestTemplatesDir(t *testing.T) {
	t.Parallel()
	const created = "invitation_created.txt.tmpl"
	for name, test := range map[string]struct {
		file, content string
		want          []string // parts of the error; nil for none
	}{
		"replaced":        {created, `{{define "subject"}}Come to {{.ScopeName}}{{end}}Welcome, {{.Email}}! {{.Link}}`, nil},
		"without layout":  {"invitation_created.html.tmpl", `<p>{{.ScopeName}}</p><a href="{{.Link}}">go</a>`, nil},
		"not a template":  {"notes.txt", `{{`, nil},
		"does not parse":  {created, "\n\n{{if}}", []string{created + ":3"}},
		"unknown field":   {created, "{{define \"subject\"}}x{{end}}\n{{.Nope}}", []string{created + ":2", "Nope"}},
		"field in a with": {"invitation_expired.html.tmpl", "x\n{{with .Deadline}}{{.Nope}}{{end}}", []string{"invitation_expired.html.tmpl:2", "Nope"}},
		"no subject":      {created, "x", []string{created, "subject"}},
		"empty subject":   {created, `{{define "subject"}} {{end}}x`, []string{created, "the subject renders nothing"}},
		"empty":           {"invitation_created.html.tmpl", "", []string{"invitation_created.html.tmpl renders nothing"}},
		"unsafe HTML":     {"invitation_created.html.tmpl", "<p>\n<a href='{{.Link}}", []string{"invitation_created.html.tmpl:2:"}},
		"recursive HTML": {
			"invitation_created.html.tmpl", `{{define "a"}}` + "\n<a href='\n" + `{{if .Reminder}}{{template "a" .}}{{end}}{{end}}` +
				`{{template "layout.html.tmpl" .}}{{template "a" .}}`,
			[]string{"invitation_created.html.tmpl:2:"},
		},
		"unknown block":    {"layout.html.tmpl", "\n{{define \"layout\"}}{{template \"nope\" .}}{{end}}", []string{"layout.html.tmpl"}},
		"panics":           {created, `{{define "subject"}}x{{end}}{{slice .Link 2 1}}`, []string{created + ":1"}},
		"endless":          {created, `{{define "subject"}}{{template "subject" .}}{{end}}x`, []string{created + ":1"}},
		"replaces nothing": {"invitation_create.txt.tmpl", "x", []string{"invitation_create.txt.tmpl"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, test.file), []byte(test.content), 0o600))
			r, err := NewRenderer("Site", dir)
			if test.want != nil {
				for _, want := range append(test.want, dir) {
					require.ErrorContains(t, err, want)
				}
				require.NotContains(t, err.Error(), "\n")
				return
			}
			require.NoError(t, err)
			m, err := r.Render(InvitationCreated, "bob@example.org", "1@x", sentAt, testInvitation())
			require.NoError(t, err)
			if test.file == created {
				require.Equal(t, "Come to Apollo", m.Subject)
				require.Equal(t, "Welcome, bob@example.org! "+testInvitation().Link+"\n", m.Text)
			}
		})
	}
	_, err := NewRenderer("Site", filepath.Join(t.TempDir(), "missing"))
	require.ErrorContains(t, err, "missing")
}

// TestBrokenTemplates puts mistakes into each file, in blocks that are executed for every kind. The error names the
// file and the line.
func TestBrokenTemplates(t *testing.T) {
	t.Parallel()
	type mistake struct{ content, want string } // a line of the template, and a part of the error
	inAnyFile := map[string]mistake{
		"syntax":          {`{{if}}`, "missing value for if"},
		"no such field":   {`{{.Nope}}`, "Nope"},
		"in the reminder": {`{{if .Reminder}}{{.Nope}}{{end}}`, "Nope"},
		"not in reminder": {`{{if not .Reminder}}{{.Nope}}{{end}}`, "Nope"},
		"full sample":     {`{{if and .Inviter .Organization .Deadline .ExtraLines}}{{.Nope}}{{end}}`, "Nope"},
		"minimal sample":  {`{{if not (or .Inviter .Organization .Deadline .ExtraLines)}}{{.Nope}}{{end}}`, "Nope"},
		"no such block":   {`{{template "nope"}}`, "nope"},
		"no such func":    {`{{nope}}`, "nope"},
	}
	onlyHTML := map[string]mistake{
		"open quote":        {`<a href="{{.Link}}>x</a>`, "HTML goes wrong"},
		"open single quote": {`<a href='{{.Link}}>x</a>`, "HTML goes wrong"},
		"stray quote":       {`<a href="{{.Link}}"x">x</a>`, "HTML goes wrong"},
		"open tag":          {`<p class="x"`, "HTML goes wrong"},
		"open comment":      {`<!-- x`, ""}, // html/template may report the next branch
		"in one branch":     {`{{if .Reminder}}<b{{end}}>`, "branches end in different contexts"},
		"own escaping":      {`<p class={{.Link | html}}>`, "predefined escaper"},
	}
	check := func(t *testing.T, file, after string, m mistake) {
		t.Helper()
		content, err := builtinTemplates.ReadFile("templates/" + file)
		require.NoError(t, err)
		before, rest, found := strings.Cut(string(content), after)
		require.True(t, found)
		before += after + "\n"
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(before+m.content+"\n"+rest), 0o600))
		_, err = NewRenderer("Site", dir)
		require.ErrorContains(t, err, fmt.Sprintf("%s:%d:", file, 1+strings.Count(before, "\n")))
		require.ErrorContains(t, err, m.want)
		require.ErrorContains(t, err, dir)
		require.NotContains(t, err.Error(), "\n")
	}
	files, err := builtinTemplates.ReadDir("templates")
	require.NoError(t, err)
	require.Len(t, files, 2*len(kinds)+2)
	for _, entry := range files {
		file := entry.Name()
		blocks := []string{`{{define "body" -}}`, `{{define "title"}}`, `{{define "footer"}}`}
		switch {
		case file == layoutName+textSuffix:
			blocks = []string{`{{define "scope"}}`}
		case file == layoutName+htmlSuffix:
			blocks = []string{`{{define "scope"}}`, `</style>`}
		case strings.HasSuffix(file, textSuffix):
			blocks = []string{`{{define "subject"}}`, "Hello,"}
		}
		for _, block := range blocks {
			t.Run(file+" "+block, func(t *testing.T) {
				t.Parallel()
				for name, m := range inAnyFile {
					t.Run(name, func(t *testing.T) { check(t, file, block, m) })
				}
				if strings.HasSuffix(file, htmlSuffix) {
					for name, m := range onlyHTML {
						t.Run(name, func(t *testing.T) { check(t, file, block, m) })
					}
				}
			})
		}
	}
}

// A template that fails only for some values is not found by NewRenderer. It must not end the process.
func TestTemplateThatFailsAtRuntime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "invitation_created.txt.tmpl"),
		[]byte(`{{define "subject"}}x{{end}}{{if eq .ScopeName "Bad"}}{{index .ExtraLines 99}}{{end}}y`), 0o600))
	r, err := NewRenderer("Site", dir)
	require.NoError(t, err)
	v := testInvitation()
	v.ScopeName = "Bad"
	_, err = r.Render(InvitationCreated, "bob@example.org", "1@x", sentAt, v)
	failure := checkFailure(t, err)
	require.True(t, failure.Operator)
	require.NotContains(t, failure.Reason, "index")
	require.ErrorContains(t, failure, "invitation_created.txt.tmpl:1")

	_, err = execute(panicking{}, "x", "x.tmpl", v)
	require.EqualError(t, err, "x.tmpl panics: boom")
}

type panicking struct{}

func (panicking) ExecuteTemplate(io.Writer, string, any) error { panic(errors.New("boom")) }

func TestLongNamesAreBounded(t *testing.T) {
	t.Parallel()
	v := testInvitation()
	v.ScopeName = strings.Repeat("x", 5000)
	m := render(t, InvitationCreated, v)
	require.Less(t, len(m.Subject), 600)
	v.ScopeName = strings.Repeat("ж", maxNameRunes)
	require.Contains(t, render(t, InvitationCreated, v).Subject, v.ScopeName, "a name of the maximum length is not truncated")
}
