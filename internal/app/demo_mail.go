package app

import (
	"errors"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"slices"

	"invited/internal/web"
)

// shownMails is the number of mails that the demonstration shows.
const shownMails = 20

// readMails returns the newest mails of a mail folder, the newest first. A folder that does not exist has none.
func readMails(folder string) ([]web.Mail, error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return filepath.Ext(e.Name()) != ".eml" })
	var mails []web.Mail
	for _, entry := range slices.Backward(entries) { // their names begin with the time
		if len(mails) == shownMails {
			break
		}
		if read, err := readMail(filepath.Join(folder, entry.Name())); err == nil { // others are no mails of this server
			mails = append(mails, read)
		}
	}
	return mails, nil
}

// readMail reads the mail in a file. Its text is the first part of the body.
func readMail(path string) (web.Mail, error) {
	file, err := os.Open(path)
	if err != nil {
		return web.Mail{}, err
	}
	defer func() { _ = file.Close() }()
	m, err := mail.ReadMessage(file)
	if err != nil {
		return web.Mail{}, err
	}
	_, parameters, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		return web.Mail{}, err
	}
	part, err := multipart.NewReader(m.Body, parameters["boundary"]).NextRawPart()
	if err != nil {
		return web.Mail{}, err
	}
	text, err := io.ReadAll(quotedprintable.NewReader(part))
	if err != nil {
		return web.Mail{}, err
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		return web.Mail{}, err
	}
	to, err := mail.ParseAddress(m.Header.Get("To"))
	if err != nil {
		return web.Mail{}, err
	}
	return web.Mail{To: to.Address, Subject: subject, Text: string(text)}, nil
}
