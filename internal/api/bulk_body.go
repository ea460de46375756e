package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
	"golang.org/x/sync/semaphore"

	"invited/internal/bulk"
)

// bulkCreate is the operation whose body has many rows. A validator that decodes such a body would take up to forty times the
// body's size of the memory, so the body is read by readRows instead.
const bulkCreate = "user_invitations_bulk_create"

// Limits of what bodies with rows take of the memory, all requests together.
const (
	maxBulkBody  = 8 << 20
	bulkBodies   = 2 * maxBulkBody  // bytes of the bodies of more than smallBody bytes, each from its first bytes to its response
	bulkRows     = 2 * bulk.MaxRows // rows, each from when it is read to the response
	leastRowSize = 2                // bytes: of a table, a letter and a line end
)

const mimeCSV = "text/csv"

// bulkMemory limits what bodies with rows take of the memory.
type bulkMemory struct{ bodies, rows *semaphore.Weighted }

func newBulkMemory() bulkMemory {
	return bulkMemory{semaphore.NewWeighted(bulkBodies), semaphore.NewWeighted(bulkRows)}
}

// readBody is bodyMemory.readBody for a body with rows. A larger body waits until there is room for all of it.
func (m bulkMemory) readBody(r *http.Request, buffer *bytes.Buffer, body io.Reader) (release func(), err error) {
	size := r.ContentLength
	if size < 0 {
		size = maxBulkBody
	}
	return readBody(r, buffer, body, m.bodies, size)
}

// A bodyFormat is the form of a body with rows.
type bodyFormat struct {
	isTable bool
	charset string // of a table
}

// bulkFormat returns the form of a request's body. It returns echo's error for status 415 where the content type is another.
func bulkFormat(r *http.Request) (bodyFormat, error) {
	written := r.Header.Get(echo.HeaderContentType)
	if written == "" && r.ContentLength == 0 {
		return bodyFormat{}, nil // the response says which fields are missing
	}
	media, parameters, err := mime.ParseMediaType(written)
	charset := strings.ToLower(parameters["charset"])
	switch {
	case err == nil && media == mimeCSV:
		return bodyFormat{true, charset}, nil
	case err == nil && media == echo.MIMEApplicationJSON && slices.Contains([]string{"", "utf-8"}, charset):
		return bodyFormat{}, nil
	case strings.HasPrefix(media, "application/vnd."):
		return bodyFormat{}, echo.NewHTTPError(http.StatusUnsupportedMediaType,
			"This is the file of a spreadsheet program. Save the table as CSV, and send that as text/csv.")
	}
	return bodyFormat{}, echo.ErrUnsupportedMediaType
}

// requireBulkFormat answers 415 to a content type that no rows can be read from, before the body is read.
func requireBulkFormat(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if _, err := bulkFormat(c.Request()); err != nil {
			return err
		}
		return next(c)
	}
}

type rowsKey struct{}

// rowsOf returns the rows of a request's body.
func rowsOf(ctx context.Context) []bulk.Row {
	rows, _ := ctx.Value(rowsKey{}).([]bulk.Row)
	return rows
}

// readRows reads the rows of a body into the request's context, and leaves the request an empty body, which the generated
// code decodes. GetBody still returns the body that was sent. The validator has checked the query.
func (m bulkMemory) readRows(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		format, err := bulkFormat(r)
		if err != nil {
			return err
		}
		held := min(r.ContentLength/leastRowSize+1, bulk.MaxRows)
		if _, err := reserve(r.Context(), m.rows, held); err != nil {
			return err
		}
		defer func() { m.rows.Release(held) }()
		body, ok := r.Body.(heldBody) // limitBody has set it
		if !ok {
			return errors.New("api: the body of a bulk invitation was not read")
		}
		query := r.URL.Query()
		defaults := bulk.Row{Role: query.Get("role"), Scope: query.Get("scope")}
		var rows []bulk.Row
		if format.isTable {
			rows, err = bulk.ReadCSV(body.content, bulk.TableOptions{Charset: format.charset, Defaults: defaults})
		} else {
			rows, err = readBulkJSON(body.content, defaults)
		}
		if err != nil {
			return err
		}
		m.rows.Release(held - int64(len(rows)))
		held = int64(len(rows))
		r.Body, r.ContentLength = http.NoBody, 0
		c.SetRequest(r.WithContext(context.WithValue(r.Context(), rowsKey{}, rows)))
		return next(c)
	}
}
