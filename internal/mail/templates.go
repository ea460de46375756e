package mail

import (
	"embed"
	"fmt"
	htmltemplate "html/template"
	"os"
	"path/filepath"
	texttemplate "text/template"
)

//go:embed templates/*.tmpl
var builtin embed.FS

const (
	textSuffix = ".txt.tmpl"
	htmlSuffix = ".html.tmpl"
	layout     = "layout" // the file of the parts that all mails of one format share
)

// templateSources returns the content of each template file by its name.
func templateSources(dir string) (map[string]string, error) {
	sources := make(map[string]string)
	entries, err := builtin.ReadDir("templates")
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		content, err := builtin.ReadFile("templates/" + entry.Name())
		if err != nil {
			return nil, err
		}
		sources[entry.Name()] = string(content)
	}
	if dir == "" {
		return sources, nil
	}
	if entries, err = os.ReadDir(dir); err != nil {
		return nil, fmt.Errorf("the folder can't be read: %w", err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if filepath.Ext(name) != ".tmpl" || entry.IsDir() {
			continue
		}
		if _, ok := sources[name]; !ok {
			return nil, fmt.Errorf("%s replaces no built-in template; rename or remove it", name)
		}
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		sources[name] = string(content)
	}
	return sources, nil
}

// parseText reads a kind's text over the layout, in a set of its own.
func parseText(kind Kind, sources map[string]string) (*texttemplate.Template, error) {
	set := texttemplate.New("")
	for _, name := range []string{layout + textSuffix, string(kind) + textSuffix} {
		if _, err := set.New(name).Parse(sources[name]); err != nil {
			return nil, err
		}
	}
	if set.Lookup("subject") == nil {
		return nil, fmt.Errorf(`%s%s: a {{define "subject"}} is missing`, kind, textSuffix)
	}
	return set, nil
}

// parseHTML reads a kind's HTML over the layout, in a set of its own, so that
// the blocks of one kind don't overwrite those of another.
func parseHTML(kind Kind, sources map[string]string) (*htmltemplate.Template, error) {
	set := htmltemplate.New("").Funcs(htmltemplate.FuncMap{
		"action": func(label, url string) action { return action{label, url} },
	})
	for _, name := range []string{layout + htmlSuffix, string(kind) + htmlSuffix} {
		if _, err := set.New(name).Parse(sources[name]); err != nil {
			return nil, err
		}
	}
	return set, nil
}

// action is what a button of the HTML layout says and where it leads.
type action struct{ Label, URL string }
