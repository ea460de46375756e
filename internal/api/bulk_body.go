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
	"sync"

	"github.com/labstack/echo/v4"
	"golang.org/x/sync/semaphore"

	"invited/internal/bulk"
	"invited/internal/fault"
	"invited/internal/memory"
)

// bulkCreate is the operation whose body has many rows. A validator that decodes such a body would take up to forty
// times the body's size of the memory, so the body is read by readRows instead.
const bulkCreate = "user_invitations_bulk_create"

// Limits of what bodies with rows take of the memory, all requests together.
const (
	maxBulkBody  = 8 << 20
	bulkBodies   = 2 * maxBulkBody  // bytes of the bodies of more than smallBody bytes, each from its first bytes until the rows are done
	bulkRows     = 2 * bulk.MaxRows // rows, each from when it is read until it is done
	leastRowSize = 2                // bytes: of a table, a letter and a line end
	bulkGarbage  = 100              // per cent of the live memory that is garbage at most while a large request is in it
)

const mimeCSV = "text/csv"

// bulkMemory limits what bodies with rows take of the memory. Of each caller, it holds one large body at a time, or
// the rows of one bulk invitation that is not done at once: nobody can keep everybody else out.
type bulkMemory struct {
	bodies, rows *semaphore.Weighted
	callers      *sync.Map // has the UUID of each caller of whom one is held
}

func newBulkMemory() bulkMemory {
	return bulkMemory{semaphore.NewWeighted(bulkBodies), semaphore.NewWeighted(bulkRows), &sync.Map{}}
}

// bulkRequest holds the rows of a request, with their share of bulkMemory.
type bulkRequest struct {
	rows    []bulk.Row
	content []byte // of the body
	free    []func()
	isLarge bool   // the request is the one of its caller in bulkMemory.callers
	end     func() // of memory.Economize, where isLarge
}

// release gives up the rows, the body and the room for them. A client that reads the response slowly keeps no room
// from others.
func (b *bulkRequest) release() {
	for _, free := range b.free {
		free()
	}
	b.rows, b.content, b.free = nil, nil, nil
}

type bulkRequestKey struct{}

// bulkRequestOf returns the bulkRequest of a request with rows.
func bulkRequestOf(ctx context.Context) *bulkRequest {
	held, _ := ctx.Value(bulkRequestKey{}).(*bulkRequest)
	return held
}

// admit refuses what needs no body to be refused: a caller who may invite nowhere, and a content type that no rows can
// be read from. What the request holds is released after it.
func (m bulkMemory) admit(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		caller := caller(r.Context())
		if caller.Manages().IsEmpty() {
			return fault.Forbidden()
		}
		if _, err := bulkFormat(r); err != nil {
			return err
		}
		held := &bulkRequest{}
		defer func() {
			held.release()
			if held.isLarge {
				m.callers.Delete(caller.UUID)
				held.end()
			}
		}()
		c.SetRequest(r.WithContext(context.WithValue(r.Context(), bulkRequestKey{}, held)))
		return next(c)
	}
}

// enter makes a request the one large request of its caller. It returns fault.KindThrottled where there is another.
func (m bulkMemory) enter(ctx context.Context) error {
	held := bulkRequestOf(ctx)
	if held.isLarge {
		return nil
	}
	if _, busy := m.callers.LoadOrStore(caller(ctx).UUID, true); busy {
		return fault.Throttled(bodyWait)
	}
	held.isLarge, held.end = true, memory.Economize(bulkGarbage)
	return nil
}

// readBody is bodyMemory.readBody for a body with rows. A larger body waits until there is room for all of it, which
// admit releases.
func (m bulkMemory) readBody(r *http.Request, buffer *bytes.Buffer, body io.Reader) (release func(), err error) {
	size := r.ContentLength
	if size < 0 {
		size = maxBulkBody
	}
	return readBody(r, buffer, body, func(ctx context.Context) (release func(), err error) {
		if err := m.enter(ctx); err != nil {
			return nil, err
		}
		free, err := reserve(ctx, m.bodies, size)
		if err != nil {
			return nil, err
		}
		held := bulkRequestOf(ctx)
		held.free = append(held.free, free)
		return func() {}, nil
	})
}

// A bodyFormat is the form of a body with rows.
type bodyFormat struct {
	isTable bool
	charset string // of a table
}

// bulkFormat returns the form of a request's body. It returns echo's error for status 415 where the content type is
// another.
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

// readRows reads the rows of a body, and leaves the request an empty body, which the generated code decodes. GetBody
// still returns the body that was sent. The validator has checked the query.
func (m bulkMemory) readRows(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		format, err := bulkFormat(r)
		if err != nil {
			return err
		}
		body, ok := r.Body.(heldBody) // limitBody has set it
		if !ok {
			return errors.New("api: the body of a bulk invitation was not read")
		}
		held := bulkRequestOf(r.Context())
		held.content = body.content
		room := min(r.ContentLength/leastRowSize+1, bulk.MaxRows)
		if _, err := reserve(r.Context(), m.rows, room); err != nil {
			return err
		}
		held.free = append(held.free, func() { m.rows.Release(room) })
		query := r.URL.Query()
		defaults := bulk.Row{Role: query.Get("role"), Scope: query.Get("scope")}
		if format.isTable {
			held.rows, err = bulk.ReadCSV(body.content, bulk.TableOptions{Charset: format.charset, Defaults: defaults})
		} else {
			held.rows, err = readBulkJSON(body.content, defaults)
		}
		if err == nil && len(held.rows) > bulk.DirectRows {
			err = m.enter(r.Context())
		}
		if err != nil {
			return err
		}
		m.rows.Release(room - int64(len(held.rows)))
		room = int64(len(held.rows))
		r.Body, r.ContentLength = http.NoBody, 0
		r.GetBody = func() (io.ReadCloser, error) { return heldBody{bytes.NewReader(held.content), held.content}, nil }
		return next(c)
	}
}
