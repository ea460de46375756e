package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"invited/internal/mail"
)

func (p Process) mailCommand() *cobra.Command {
	var output string
	kinds := mail.PreviewNames()
	preview := &cobra.Command{
		Use: "preview KIND", Short: "Show a mail as it would be sent, with sample values",
		Long: `Renders a mail of a kind with sample values, and prints its subject and text. The templates are those of
INVITED_TEMPLATES_DIR and, for files that it does not have, the built-in ones. With --output the mail is written to a file:
the HTML part to a .html file, the text part to a .txt file, and the whole mail to a .eml file, for a mail program.

The kinds are ` + strings.Join(kinds, ", ") + ".",
		ValidArgs: kinds,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(kinds, args[0]) {
				return usageError{fmt.Errorf("name one kind of mail: %s", strings.Join(kinds, ", "))}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return p.previewMail(args[0], output) },
	}
	preview.Flags().StringVarP(&output, "output", "o", "", "file to write: .html, .txt or .eml")
	return commandGroup("mail", "Look at the mails", preview)
}

func (p Process) previewMail(kind, output string) error {
	c, err := p.loadConfig()
	if err != nil {
		return err
	}
	renderer, err := newRenderer(c)
	if err != nil {
		return err
	}
	m, err := renderer.Preview(kind, c.FrontendURL.String())
	if err != nil {
		return err
	}
	if output == "" {
		_, err := fmt.Fprintf(p.Stdout, "To: %s\nSubject: %s\n\n%s", m.To, m.Subject, m.Text)
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
