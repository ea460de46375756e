package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	post "invited/internal/mail"
)

func (p process) mail() *cobra.Command {
	var output string
	kinds := post.PreviewNames()
	preview := &cobra.Command{
		Use: "preview KIND", Short: "Show a mail as it would be sent, with sample values",
		Long: `Renders a mail of a kind with sample values, from the templates that INVITED_TEMPLATES_DIR has or the built-in
ones, and prints its subject and text. With --output it writes a file instead: .html and .txt have that part,
.eml has all of it, for a mail program.

The kinds are ` + strings.Join(kinds, ", ") + ".",
		ValidArgs: kinds,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(kinds, args[0]) {
				return usageError{fmt.Errorf("say which mail: one of %s", strings.Join(kinds, ", "))}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return p.preview(args[0], output) },
	}
	preview.Flags().StringVarP(&output, "output", "o", "", "file to write: .html, .txt or .eml")
	return group("mail", "Look at the mails", preview)
}

func (p process) preview(kind, output string) error {
	c, err := p.config()
	if err != nil {
		return err
	}
	r, err := renderer(c)
	if err != nil {
		return err
	}
	m, err := r.Preview(kind, c.FrontendURL.String())
	if err != nil {
		return err
	}
	if output == "" {
		_, err := fmt.Fprintf(p.stdout, "To: %s\nSubject: %s\n\n%s", m.To, m.Subject, m.Text)
		return err
	}
	var content []byte
	switch filepath.Ext(output) {
	case ".html":
		content = []byte(m.HTML)
	case ".txt":
		content = []byte(m.Text)
	case ".eml":
		if content, err = m.EML(c.MailFrom.String()); err != nil {
			return fmt.Errorf("INVITED_MAIL_FROM: %w", err)
		}
	default:
		return usageError{errors.New("--output must end in .html, .txt or .eml")}
	}
	return os.WriteFile(output, content, 0o600)
}
