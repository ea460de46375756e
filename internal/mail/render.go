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

// Renderer makes messages from templates. It is safe for concurrent use.
type Renderer struct {
	siteName string
	text     map[Kind]*texttemplate.Template
	html     map[Kind]*htmltemplate.Template
}

// NewRenderer reads the templates and tries each of them out. Files in
// templatesDir replace the built-in ones of the same name; "" means none do.
//
// A folder that can't be read, a template that can't be parsed or run, and a
// *.tmpl file that replaces none are errors. They name the file and, where its
// content is wrong, the line.
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
		if err := r.try(kind); err != nil {
			return placed(err, kind, sources)
		}
	}
	return nil
}

// try renders a kind with everything there is to say and with the least, so
// that most of a template has run before the first mail does.
func (r *Renderer) try(kind Kind) error {
	most := madeUp("https://example.com/")
	least := Invitation{
		Email: most.Email, ScopeName: most.ScopeName, ScopeType: "customer", RoleName: most.RoleName,
		Link: most.Link, ApproveLink: most.ApproveLink, RejectLink: most.RejectLink,
	}
	for _, v := range []Invitation{least, most} {
		for _, v.Reminder = range []bool{false, true} {
			_, err := r.Render(kind, v.Email, "try@example.com", most.Expires, v)
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

// Render makes the mail of a kind to one recipient. The id is its Message-ID
// without angle brackets; id and date have to be the same in every attempt to
// deliver one mail.
//
// Every error is a *delivery.Failure. It is final where the recipient's address can
// never get mail, and not where a template fails or a value is unfit, such as a
// link that is none: that heals once somebody mends it.
func (r *Renderer) Render(kind Kind, to, id string, date time.Time, v Invitation) (Message, error) {
	recipient, err := parseRecipient(to)
	if err != nil {
		return Message{}, err
	}
	v.SiteName = r.siteName
	v = v.cleaned()
	if err := checkLinks(kind, v); err != nil {
		return Message{}, unrenderable(err)
	}
	text, html := r.text[kind], r.html[kind]
	if text == nil || html == nil {
		return Message{}, unrenderable(fmt.Errorf("there is no mail of kind %q", kind))
	}
	m := Message{ID: id, To: recipient, Date: date}
	textFile, htmlFile := string(kind)+textSuffix, string(kind)+htmlSuffix
	for _, part := range []struct {
		into        *string
		set         templateSet
		name, where string
	}{
		{&m.Subject, text, "subject", textFile + ": the subject"},
		{&m.Text, text, textFile, textFile},
		{&m.HTML, html, htmlFile, htmlFile},
	} {
		if *part.into, err = execute(part.set, part.name, part.where, v); err != nil {
			return Message{}, unrenderable(err)
		}
	}
	m.Subject = line(m.Subject)
	if err := m.validate(); err != nil {
		return Message{}, unrenderable(err)
	}
	return m, nil
}

// templateSet is a parsed set of either kind of template.
type templateSet interface {
	ExecuteTemplate(w io.Writer, name string, data any) error
}

// execute turns a panic in a template, which the template packages let through
// where it is a runtime error, into an error. Errors that have no place of their
// own say where.
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

func unrenderable(err error) *delivery.Failure {
	return &delivery.Failure{
		Reason:   "The mail could not be written; the operator has to check the mail templates and settings.",
		Operator: true,
		Err:      err,
	}
}

// checkLinks wants the links that a kind can't do without, and no others than
// links to the web.
func checkLinks(kind Kind, v Invitation) error {
	for _, link := range []struct {
		name, url string
		needed    bool
	}{
		{"link", v.Link, kind == InvitationCreated},
		{"approve link", v.ApproveLink, kind == InvitationRequested},
		{"reject link", v.RejectLink, kind == InvitationRequested},
	} {
		if link.url == "" && !link.needed {
			continue
		}
		parsed, err := url.Parse(link.url)
		// The cause is dropped: it repeats the URL, which has a token in it.
		if err != nil || parsed.Host == "" || (parsed.Scheme != "http" && parsed.Scheme != "https") ||
			strings.ContainsFunc(link.url, func(r rune) bool { return unicode.IsSpace(r) || printable(r) < 0 }) {
			return fmt.Errorf("the %s is not an absolute http or https URL", link.name)
		}
	}
	return nil
}
