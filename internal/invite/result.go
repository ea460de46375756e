package invite

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"invited/gen/client"
	"invited/internal/bulk"
	"invited/internal/fault"
)

// failures are the results of rows that were not invited, and that somebody has to look at.
var failures = client.BulkInvitationFilterResult{
	client.BulkInvitationResultInvalid, client.BulkInvitationResultRefused, client.BulkInvitationResultCanceled,
}

// failed returns the number of rows with one of the failures.
func failed(c client.BulkInvitationCounts) int { return c.Invalid + c.Refused + c.Canceled }

// writeCounts writes a line such as "5000 rows: 4960 created, 40 invalid". The words are those of the column "result".
func writeCounts(to io.Writer, total int, c client.BulkInvitationCounts, dryRun bool) {
	var parts []string
	for _, each := range []struct {
		word  string
		count int
	}{
		{"created", c.Created},
		{"sent", c.Sent},
		{"duplicate", c.Duplicate},
		{"member", c.Member},
		{"invalid", c.Invalid},
		{"refused", c.Refused},
		{"canceled", c.Canceled},
	} {
		if each.count > 0 {
			parts = append(parts, fmt.Sprint(each.count, " ", each.word))
		}
	}
	about := rowsOf(total)
	if dryRun {
		about += ", and nothing was written"
	}
	fmt.Fprintf(to, "%s: %s\n", about, strings.Join(parts, ", "))
}

// rowsOf returns a number of rows in words.
func rowsOf(total int) string {
	if total == 1 {
		return "1 row"
	}
	return fmt.Sprint(total, " rows")
}

// report writes the results of a table that the server has done at once.
func (c *Client) report(t Table, found client.BulkInvitationReport, out Output) error {
	writeCounts(out.Counts, found.Total, found.Counts, t.DryRun)
	if failed(found.Counts) == 0 {
		return nil
	}
	rows, err := bulk.ReadCSV(t.Text, bulk.TableOptions{Defaults: bulk.Row{Role: t.Role, Scope: t.Scope}})
	if err != nil || len(rows) != found.Total {
		return fmt.Errorf("%s reads %s in another way than this program: use the version of the server", c.server.Host, t.Name)
	}
	var results []bulk.Result
	for _, r := range found.Results {
		if r.Index >= 0 && r.Index < len(rows) && slices.Contains(failures, r.Result) {
			results = append(results, bulk.Result{Index: r.Index, Row: rows[r.Index], Code: bulk.Code(r.Result), UUID: r.UUID, Errors: fault.Fields(r.Errors)})
		}
	}
	var table bytes.Buffer
	if err := bulk.WriteCSV(&table, results); err != nil {
		return err
	}
	return writeFailed(out, table.Bytes(), found.Total, found.Counts, t.DryRun)
}

// writeFailed writes the file with the rows that were not invited, and returns the error that says so. Only its owner can read
// the file: it has people's addresses.
func writeFailed(out Output, table []byte, total int, counts client.BulkInvitationCounts, dryRun bool) error {
	write := writeNewFile
	if out.Replace {
		write = replaceFile
	}
	path, err := write(out.Failed, table)
	if err != nil {
		return fmt.Errorf("%d of %s failed, and the file that says why can't be written: %w", failed(counts), rowsOf(total), err)
	}
	were := "were not invited"
	switch {
	case dryRun:
		were = "would not be invited"
	case failed(counts) == 1:
		were = "was not invited"
	}
	return fmt.Errorf("%d of %s %s: %s has each with its reason; correct that file, and send it", failed(counts), rowsOf(total), were, path)
}

// writeNewFile writes a file that was not there, with a number in its name where one of this name was, and returns its path.
func writeNewFile(path string, content []byte) (string, error) {
	base := strings.TrimSuffix(path, ".csv")
	for n := 2; ; n++ {
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			path = fmt.Sprintf("%s-%d.csv", base, n)
			continue
		}
		if err != nil {
			return "", err
		}
		return path, writeAndClose(file, content)
	}
}

// replaceFile writes a file as a whole, in place of one that is there, and returns its path.
func replaceFile(path string, content []byte) (string, error) {
	file, err := os.CreateTemp(filepath.Dir(path), ".invited-*") // with mode 0600
	if err != nil {
		return "", err
	}
	defer os.Remove(file.Name())
	if err := writeAndClose(file, content); err != nil {
		return "", err
	}
	return path, os.Rename(file.Name(), path)
}

func writeAndClose(file *os.File, content []byte) error {
	_, err := file.Write(content)
	if closing := file.Close(); err == nil {
		err = closing
	}
	return err
}
