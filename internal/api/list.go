package api

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"invited/internal/directory"
)

// listResponse is the response of a list: one page of rows, and the values of its headers. Each row has the named
// fields only; all fields where none are named.
type listResponse[Row any] struct {
	rows   []Row
	fields []string
	link   string
	total  int
}

func (l listResponse[Row]) write(w http.ResponseWriter) error {
	body, err := l.encode()
	if err != nil {
		return err
	}
	header := w.Header()
	l.setHeaders(header)
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	_, err = w.Write(body)
	return err
}

// writeTagged is write with an entity tag.
func (l listResponse[Row]) writeTagged(w http.ResponseWriter, ifNoneMatch *string) error {
	body, err := l.encode()
	if err != nil {
		return err
	}
	l.setHeaders(w.Header())
	return writeTagged(w, ifNoneMatch, body)
}

func (l listResponse[Row]) setHeaders(header http.Header) {
	header.Set("Link", l.link)
	header.Set("X-Result-Count", strconv.Itoa(l.total))
}

// encode returns the body of the response.
func (l listResponse[Row]) encode() ([]byte, error) {
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(l.rows); err != nil {
		return nil, err
	}
	if len(l.fields) > 0 {
		var rows []map[string]json.RawMessage // encoded in the order of names, as the generated types are
		if err := json.Unmarshal(body.Bytes(), &rows); err != nil {
			return nil, err
		}
		for _, row := range rows {
			maps.DeleteFunc(row, func(name string, _ json.RawMessage) bool { return !slices.Contains(l.fields, name) })
		}
		body.Reset()
		if err := json.NewEncoder(&body).Encode(rows); err != nil {
			return nil, err
		}
	}
	return body.Bytes(), nil
}

// fieldNames returns the fields that the parameter `field` names.
func fieldNames[Field ~string](fields *[]Field) []string {
	if fields == nil {
		return nil
	}
	return convertAll(*fields, func(field Field) string { return string(field) })
}

// ordering converts the parameter `o`, which the validator has checked.
func ordering[Key ~string](keys *[]Key) []directory.Order {
	if keys == nil {
		return nil
	}
	return convertAll(*keys, func(key Key) directory.Order {
		by, descending := strings.CutPrefix(string(key), "-")
		return directory.Order{By: directory.OrderBy(by), Descending: descending}
	})
}

// linkHeader returns the Link header of a page of the list at a path below /api/.
func (h handlers) linkHeader(ctx context.Context, path string, page pageRequest, total int) string {
	return page.linkHeader(h.PublicURL+"api/"+path+"/", queryOf(ctx), total)
}

// convertAll converts each row. The result is never nil, because JSON would have null for it.
func convertAll[From, To any](rows []From, convert func(From) To) []To {
	all := make([]To, 0, len(rows))
	for _, row := range rows {
		all = append(all, convert(row))
	}
	return all
}

// optionalText returns the trimmed value of an optional parameter or field, and an empty string where it is absent.
func optionalText(value *string) string {
	if value == nil {
		return ""
	}
	return directory.Trim(*value)
}

// nilIfEmpty returns nil, which JSON has as null or leaves out, for an empty value.
func nilIfEmpty[T ~string](value T) *T {
	if value == "" {
		return nil
	}
	return &value
}
