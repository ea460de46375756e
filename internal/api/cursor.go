package api

import (
	"encoding/base64"
	"encoding/binary"
	"net/url"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
)

// cursorStart is the cursor of the first page. Clients that can't send an empty value send this one.
const cursorStart = "start"

// cursorVersion is the first byte of a cursor. A cursor of another form gets another one.
const cursorVersion = 1

// cursorLength is the length of a cursor in bytes: the version, the microseconds since 1970, and a UUID.
const cursorLength = 1 + 8 + 16

// formatCursor returns the text of a position. It holds what the list has shown and no more, and is not signed. A
// forged cursor only names another place in a list that its author may read.
func formatCursor(p invitation.Position) string {
	raw := make([]byte, 0, cursorLength)
	raw = append(raw, cursorVersion)
	raw = binary.BigEndian.AppendUint64(raw, uint64(p.FirstCreated.UnixMicro()))
	raw = append(raw, p.UUID[:]...)
	return base64.RawURLEncoding.EncodeToString(raw)
}

// parseCursor returns the position of a cursor that is not cursorStart. It returns an invalid-field error for a text that
// formatCursor does not make, or of a time that a database can't hold.
func parseCursor(text string) (p invitation.Position, err error) {
	invalid := fault.Field("cursor", "This is no cursor of this list: follow the link to the next page, or begin with cursor=start.")
	if len(text) != base64.RawURLEncoding.EncodedLen(cursorLength) {
		return p, invalid
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != cursorLength || raw[0] != cursorVersion {
		return p, invalid
	}
	at := time.UnixMicro(int64(binary.BigEndian.Uint64(raw[1:]))).UTC() //nolint:gosec // G115: any value is some time
	if at.Year() < 1 || at.After(lastTime) {
		return p, invalid
	}
	return invitation.Position{FirstCreated: at, UUID: uuid.UUID(raw[1+8:])}, nil
}

// cursorRequest is a page of a list that a client asks for by a cursor.
type cursorRequest struct {
	behind      *invitation.Position // nil: from the start
	newestFirst bool
}

// cursorOf returns the page that the parameter `cursor` asks for. It returns an invalid-field error for a cursor that
// is none, and where the request has a page or another order as well.
func cursorOf(text string, page *int, order []directory.Order) (asked cursorRequest, err error) {
	if text != cursorStart {
		behind, err := parseCursor(text)
		if err != nil {
			return asked, err
		}
		asked.behind = &behind
	}
	asked.newestFirst = len(order) == 0 || order[0].Descending
	switch {
	case page != nil:
		err = fault.Field("page", "A cursor takes the place of a page: leave one of them out.")
	case len(order) > 1 || (len(order) == 1 && order[0].By != directory.ByCreated):
		err = fault.Field("o", "A list with a cursor can be ordered by created and -created alone: leave out the cursor, or the order.")
	}
	return asked, err
}

// cursorLinkHeader returns the Link header of a page by a cursor: first, and next where more rows come behind the page.
// The links keep every other parameter of the query.
func cursorLinkHeader(address string, query url.Values, next *invitation.Position) string {
	links := link("first", address, query, "cursor", cursorStart)
	if next != nil {
		links += ", " + link("next", address, query, "cursor", formatCursor(*next))
	}
	return links
}
