package api

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"invited/gen/server"
)

// listed is the response of a list: a page of rows, with what the headers say of it. Each row has the fields that were
// asked for; all of them where none were.
type listed[Row any] struct {
	rows   []Row
	fields []string
	link   string
	total  int
}

// named are the fields that a client asks for.
func named[Field ~string](fields *[]Field) []string {
	if fields == nil {
		return nil
	}
	names := make([]string, len(*fields))
	for i, each := range *fields {
		names[i] = string(each)
	}
	return names
}

func (l listed[Row]) write(w http.ResponseWriter) error {
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(l.rows); err != nil {
		return err
	}
	if len(l.fields) > 0 {
		var rows []map[string]json.RawMessage // written in the order of names, as the generated types are
		if err := json.Unmarshal(body.Bytes(), &rows); err != nil {
			return err
		}
		for _, row := range rows {
			maps.DeleteFunc(row, func(name string, _ json.RawMessage) bool { return !slices.Contains(l.fields, name) })
		}
		body.Reset()
		if err := json.NewEncoder(&body).Encode(rows); err != nil {
			return err
		}
	}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(body.Len()))
	header.Set("Link", l.link)
	header.Set("X-Result-Count", strconv.Itoa(l.total))
	w.WriteHeader(http.StatusOK)
	_, err := body.WriteTo(w)
	return err
}

// invitationsListed is a listed as the generated code takes it.
type invitationsListed listed[server.Invitation]

// VisitUserInvitationsListResponse writes the response.
func (l invitationsListed) VisitUserInvitationsListResponse(w http.ResponseWriter) error {
	return listed[server.Invitation](l).write(w)
}
