package mail

import (
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"net/url"
	"strings"
	texttemplate "text/template"
	"time"
	"unicode"

	"invited/internal/delivery"
)

// Renderer renders messages from templates. It is safe for concurrent use.
type Renderer struct {
	siteName string
	text     map[Kind]*texttemplate.Template
	html     map[Kind]*htmltemplate.Template
}

// NewRenderer parses the templates and renders each of them with sample values, so that mistakes are found at the
// start. A file in templatesDir replaces the built-in template of the same name; "" means that there is no such
// folder. siteName is the name of the site in mails.
//
// It is an error if the folder can't be read, if a template can't be parsed or executed, or if a *.tmpl file does not
// have the name of a template. The error names the file and, if its content is wrong, the line.
func NewRenderer(siteName, templatesDir string) (*Renderer, error) {
	r := &Renderer{
		siteName: siteName,
		text:     make(map[Kind]*texttemplate.Template),
		html:     make(map[Kind]*htmltemplate.Template),
	}
	if err := r.load(templatesDir); err != nil {
		if templatesDir == "" {
			return nil, fmt.Errorf("mail templates: %w", err)
		}
		return nil, fmt.Errorf("mail templates in %s: %w", templatesDir, err)
	}
	return r, nil
}

func (r *Renderer) load(dir string) error {
	sources, err := templateSources(dir)
	if err != nil {
		return err
	}
	for _, kind := range kinds {
		if r.text[kind], err = parseText(kind, sources); err != nil {
			return err
		}
		if r.html[kind], err = parseHTML(kind, sources); err != nil {
			return err
		}
		if err := r.tryRender(kind); err != nil {
			return locateHTMLError(err, kind, sources)
		}
	}
	return nil
}

// tryRender renders a kind with a value in every field and with as few values as possible, so that most branches of a
// template have run before the first mail does.
func (r *Renderer) tryRender(kind Kind) error {
	full := sampleInvitation("https://example.com/")
	minimal := Invitation{
		Email: full.Email, ScopeName: full.ScopeName, ScopeType: "customer", RoleName: full.RoleName,
		Link: full.Link, ApproveLink: full.ApproveLink, RejectLink: full.RejectLink, Code: full.Code,
	}
	minimal.Requests = []Invitation{minimal}
	for _, v := range []Invitation{minimal, full} {
		for _, v.Reminder = range []bool{false, true} {
			v.Undelivered = v.Reminder
			_, err := r.Render(kind, v.Email, "try@example.com", full.Expires, v)
			if cause := errors.Unwrap(err); cause != nil {
				return cause
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// Render returns the mail of a kind to one recipient. id is its Message-ID without angle brackets. All attempts to
// deliver one mail must use the same id and date.
//
// Every error is a *delivery.Failure. It is final if no mail can be sent to the address. If a template fails or a
// value is not usable, such as a link that is not a URL, it is the operator's to fix.
func (r *Renderer) Render(kind Kind, to, id string, date time.Time, v Invitation) (Message, error) {
	recipient, err := parseRecipient(to)
	if err != nil {
		return Message{}, err
	}
	v.SiteName = r.siteName
	v = v.sanitized()
	if err := checkLinks(kind, v); err != nil {
		return Message{}, renderFailure(err)
	}
	text, html := r.text[kind], r.html[kind]
	if text == nil || html == nil {
		return Message{}, renderFailure(fmt.Errorf("there is no mail of kind %q", kind))
	}
	m := Message{ID: id, To: recipient, Date: date}
	textFile, htmlFile := string(kind)+textSuffix, string(kind)+htmlSuffix
	body := v.withoutLinks()
	for _, part := range []struct {
		target      *string
		set         templateSet
		name, where string
		v           Invitation
	}{
		{&m.Subject, text, "subject", textFile + ": the subject", v},
		{&m.Text, text, textFile, textFile, body},
		{&m.HTML, html, htmlFile, htmlFile, body},
	} {
		if *part.target, err = execute(part.set, part.name, part.where, part.v); err != nil {
			return Message{}, renderFailure(err)
		}
	}
	m.Subject = sanitizeLine(m.Subject)
	if err := m.validate(); err != nil {
		return Message{}, renderFailure(err)
	}
	return m, nil
}

// templateSet is a set of text or HTML templates.
type templateSet interface {
	ExecuteTemplate(w io.Writer, name string, data any) error
}

// execute returns the output of a template. It turns a panic into an error, because the template packages let runtime
// errors in a template through as panics. Errors of its own begin with where; those of the template packages have a
// position.
func execute(set templateSet, name, where string, v Invitation) (out string, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s panics: %v", where, r)
		}
	}()
	var b strings.Builder
	if err := set.ExecuteTemplate(&b, name, v); err != nil {
		return "", err
	}
	if out = strings.TrimSpace(b.String()); out == "" {
		return "", fmt.Errorf("%s renders nothing", where)
	}
	return out + "\n", nil
}

// renderFailure returns the failure for a mail that cannot be rendered until the operator fixes something.
func renderFailure(err error) *delivery.Failure {
	return &delivery.Failure{
		Reason:   "The mail could not be written; the operator has to check the mail templates and settings.",
		Operator: true,
		Err:      err,
	}
}

// linksOfEach maps the kinds of mail about several requests to a kind that needs the links of each of them.
var linksOfEach = map[Kind]Kind{InvitationRequests: InvitationRequested, PermissionRequestSubmitted: InvitationCreated}

// checkLinks returns an error if a link that the kind needs is missing, or if a link is not an http or https URL.
func checkLinks(kind Kind, v Invitation) error {
	if kind == InvitationRequests || kind == PermissionRequestSubmitted {
		if len(v.Requests) == 0 {
			return errors.New("there is no request")
		}
		for _, request := range v.Requests {
			if err := checkLinks(linksOfEach[kind], request); err != nil {
				return err
			}
		}
	}
	for _, link := range []struct {
		name, url string
		required  bool
	}{
		{"link", v.Link, kind == InvitationCreated},
		{"approve link", v.ApproveLink, kind == InvitationRequested},
		{"reject link", v.RejectLink, kind == InvitationRequested},
	} {
		if link.url == "" && !link.required {
			continue
		}
		parsed, err := url.Parse(link.url)
		// The error has no cause: url.Parse quotes the URL, which contains a token.
		if err != nil || parsed.Host == "" || (parsed.Scheme != "http" && parsed.Scheme != "https") ||
			strings.ContainsFunc(link.url, func(r rune) bool { return unicode.IsSpace(r) || printableRune(r) < 0 }) {
			return fmt.Errorf("the %s is not an absolute http or https URL", link.name)
		}
	}
	return nil
}
