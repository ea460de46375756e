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
var builtinTemplates embed.FS

const (
	textSuffix = ".txt.tmpl"
	htmlSuffix = ".html.tmpl"
	layoutName = "layout" // of the files with the blocks that all mails of one format share
)

// templateSources returns the content of each template file by its name. A file in dir replaces the built-in file of
// the same name; "" means no directory. Files in dir that do not end in .tmpl are ignored.
func templateSources(dir string) (map[string]string, error) {
	sources := make(map[string]string)
	entries, err := builtinTemplates.ReadDir("templates")
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		content, err := builtinTemplates.ReadFile("templates/" + entry.Name())
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

// parseText parses the text layout and a kind's text template into one set.
func parseText(kind Kind, sources map[string]string) (*texttemplate.Template, error) {
	set := texttemplate.New("")
	for _, name := range []string{layoutName + textSuffix, string(kind) + textSuffix} {
		if _, err := set.New(name).Parse(sources[name]); err != nil {
			return nil, err
		}
	}
	if set.Lookup("subject") == nil {
		return nil, fmt.Errorf(`%s%s: a {{define "subject"}} is missing`, kind, textSuffix)
	}
	return set, nil
}

// parseHTML parses the HTML layout and a kind's HTML template into one set. Each kind has a set of its own, because the
// blocks of one kind would replace those of another.
func parseHTML(kind Kind, sources map[string]string) (*htmltemplate.Template, error) {
	set := htmltemplate.New("").Funcs(htmltemplate.FuncMap{
		"action": func(label, url string) action { return action{label, url} },
	})
	for _, name := range []string{layoutName + htmlSuffix, string(kind) + htmlSuffix} {
		if _, err := set.New(name).Parse(sources[name]); err != nil {
			return nil, err
		}
	}
	return set, nil
}

// action is the data of a button in the HTML layout.
type action struct{ Label, URL string }
