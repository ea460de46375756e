package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"
)

// headerIfNoneMatch is the request header with the entity tags that a client has.
const headerIfNoneMatch = "If-None-Match"

// joinIfNoneMatch makes several header lines If-None-Match one: together they are one list (RFC 9110, section 5.3), and
// the generated code takes one line.
func joinIfNoneMatch(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if lines := c.Request().Header.Values(headerIfNoneMatch); len(lines) > 1 {
			c.Request().Header.Set(headerIfNoneMatch, strings.Join(lines, ", "))
		}
		return next(c)
	}
}

// writeTagged writes a 200 with a body in JSON and its entity tag, or a 304 without the body where ifNoneMatch has the
// tag.
//
// The tag is a digest of what the client gets, the headers of a list included: nothing that is stored has to say when
// the response changes, and a response that another caller gets has the same tag only where it is the same. It is
// strong, because equal responses are equal to the byte; a gateway that compresses makes it weak, and weak tags match
// too.
//
// A browser may store such a response, so that it can ask by the tag, but for one user and never without asking again.
// All other responses of the API stay no-store.
func writeTagged(w http.ResponseWriter, ifNoneMatch *string, body []byte) error {
	header := w.Header()
	digest := sha256.New()
	for _, part := range [][]byte{[]byte(header.Get("Link")), []byte(header.Get("X-Result-Count")), body} {
		digest.Write(strconv.AppendInt(nil, int64(len(part)), 10))
		digest.Write([]byte{' '})
		digest.Write(part)
	}
	tag := `"` + base64.RawURLEncoding.EncodeToString(digest.Sum(nil)[:18]) + `"`
	header.Set("ETag", tag)
	header.Set("Cache-Control", "private, no-cache")
	if ifNoneMatch != nil && hasTag(*ifNoneMatch, tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(body)
	return err
}

// hasTag reports whether a list of entity tags (RFC 9110, section 13.1.2) has a strong tag, by the weak comparison, or
// is *. What comes after a mistake in the list is ignored: the client then gets the whole response.
func hasTag(list, tag string) bool {
	if strings.Trim(list, " \t") == "*" {
		return true
	}
	for {
		list = strings.TrimPrefix(strings.TrimLeft(list, " \t,"), "W/")
		if !strings.HasPrefix(list, `"`) {
			return false
		}
		end := strings.IndexByte(list[1:], '"')
		if end < 0 {
			return false
		}
		if list[:end+2] == tag {
			return true
		}
		list = list[end+2:]
	}
}

// taggedResponse is the response of an operation that reads one object.
type taggedResponse[Body any] struct {
	body        Body
	ifNoneMatch *string
}

func (t taggedResponse[Body]) write(w http.ResponseWriter) error {
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(t.body); err != nil {
		return err
	}
	return writeTagged(w, t.ifNoneMatch, body.Bytes())
}
