package invite

import (
	"bytes"
	"fmt"
	"io"
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
	about := "rows"
	if dryRun {
		about = "rows, and nothing was written"
	}
	fmt.Fprintf(to, "%d %s: %s\n", total, about, strings.Join(parts, ", "))
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
	return writeFailed(out.Failed, table.Bytes(), found.Total, found.Counts, t.DryRun)
}

// writeFailed writes the file with the rows that were not invited, and returns the error that says so. The file is replaced as
// a whole, and only its owner can read it: it has people's addresses.
func writeFailed(path string, table []byte, total int, counts client.BulkInvitationCounts, dryRun bool) error {
	if err := replaceFile(path, table); err != nil {
		return fmt.Errorf("%d of %d rows failed, and the file that says why can't be written: %w", failed(counts), total, err)
	}
	were := "were not invited"
	if dryRun {
		were = "would not be invited"
	}
	return fmt.Errorf("%d of %d rows %s: %s has them with the reasons; correct them there, and send that file", failed(counts), total, were, path)
}

func replaceFile(path string, content []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".invited-*") // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.Write(content)
	if closing := file.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	return err
}
