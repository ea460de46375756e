package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// lifetime of an invitation is the server's default.
const lifetime = 168 * time.Hour

// floor is the smallest server that answers the measured requests: no framework, no ORM, no validation, no log. It
// authenticates the caller, limits what the caller sees, and writes with the same guarantees. It leaves out what a well-formed
// request of the measurement never meets: patterns of e-mail addresses, policies, an open row that has expired.
type floor struct {
	tables tables
	public string
}

// fault is a status to respond with.
type fault int

func (f fault) Error() string { return http.StatusText(int(f)) }

// ServeHTTP implements http.Handler.
func (f *floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	err := f.serve(w, r)
	var refused fault
	switch {
	case errors.As(err, &refused):
		w.WriteHeader(int(refused))
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (f *floor) serve(w http.ResponseWriter, r *http.Request) error {
	rest, ok := strings.CutPrefix(r.URL.Path, "/api/user-invitations/")
	if !ok {
		return fault(http.StatusNotFound)
	}
	if rest == "" {
		if r.Method == http.MethodPost {
			return f.create(w, r)
		}
		return f.list(w, r)
	}
	text, action, _ := strings.Cut(rest, "/")
	id, err := uuid.Parse(text)
	if err != nil {
		return fault(http.StatusNotFound)
	}
	switch action {
	case "":
		return f.retrieve(w, r, id)
	case "accept/":
		return f.accept(w, r, id)
	case "check/":
		return f.check(w, r, id)
	default:
		return fault(http.StatusNotFound)
	}
}

func (f *floor) caller(r *http.Request, now time.Time) (caller, error) {
	_, key, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok {
		return caller{}, fault(http.StatusUnauthorized)
	}
	found, err := f.tables.caller(r.Context(), digest(key), now)
	if err == nil && (!found.known || !found.active || (found.expires != nil && !found.expires.After(now))) {
		err = fault(http.StatusUnauthorized)
	}
	return found, err
}

func (f *floor) list(w http.ResponseWriter, r *http.Request) error {
	now := moment()
	who, err := f.caller(r, now)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	asked := listing{
		who: who, cutoff: now.Add(-lifetime), size: 10,
		state: query.Get("state"), email: query.Get("email"),
	}
	if size, err := strconv.Atoi(query.Get("page_size")); err == nil {
		asked.size = min(size, 300)
	}
	page := 1
	if number, err := strconv.Atoi(query.Get("page")); err == nil {
		page = number
	}
	asked.offset = (page - 1) * asked.size
	rows, total, err := f.tables.list(r.Context(), asked)
	if err != nil {
		return err
	}
	if page > 1 && asked.offset >= total {
		return fault(http.StatusNotFound)
	}
	body := make([]byte, 0, 1024*len(rows)+16)
	body = append(body, '[')
	for i := range rows {
		if i > 0 {
			body = append(body, ',')
		}
		body = f.append(body, &rows[i], now)
	}
	body = append(body, "]\n"...)
	w.Header().Set("Link", f.links(query, page, asked.size, total))
	w.Header().Set("X-Result-Count", strconv.Itoa(total))
	return answer(w, http.StatusOK, body)
}

func (f *floor) links(query url.Values, page, size, total int) string {
	last := max(1, (total+size-1)/size)
	var links []byte
	add := func(relation string, number int) {
		query.Del("page")
		if number > 1 {
			query.Set("page", strconv.Itoa(number))
		}
		if len(links) > 0 {
			links = append(links, ", "...)
		}
		encoded := query.Encode()
		if encoded != "" {
			encoded = "?" + encoded
		}
		links = fmt.Appendf(links, `<%sapi/user-invitations/%s>; rel="%s"`, f.public, encoded, relation)
	}
	add("first", 1)
	if page > 1 {
		add("prev", page-1)
	}
	if page < last {
		add("next", page+1)
	}
	add("last", last)
	return string(links)
}

func (f *floor) retrieve(w http.ResponseWriter, r *http.Request, id uuid.UUID) error {
	now := moment()
	who, err := f.caller(r, now)
	if err != nil {
		return err
	}
	found, ok, err := f.tables.find(r.Context(), id)
	if err != nil {
		return err
	}
	if !ok || !who.sees(&found, now) {
		return fault(http.StatusNotFound)
	}
	return answer(w, http.StatusOK, append(f.append(make([]byte, 0, 1024), &found, now), '\n'))
}

func (f *floor) check(w http.ResponseWriter, r *http.Request, id uuid.UUID) error {
	found, ok, err := f.tables.find(r.Context(), id)
	if err != nil {
		return err
	}
	if !ok || found.removed || found.stateAt(moment()) != "pending" {
		return fault(http.StatusNotFound)
	}
	body := []byte("{")
	if found.civilNumber != "" {
		body = append(body, `"civil_number_required":true,`...)
	}
	return answer(w, http.StatusOK, append(text(append(body, `"email":`...), found.email), "}\n"...))
}

// draft is the body of a create request.
type draft struct {
	Email, Scope        string
	Role                uuid.UUID
	FullName            string `json:"full_name"`
	NativeName          string `json:"native_name"`
	PhoneNumber         string `json:"phone_number"`
	Organization        string
	JobTitle            string `json:"job_title"`
	CivilNumber         string `json:"civil_number"`
	ExtraInvitationText string `json:"extra_invitation_text"`
}

func (f *floor) create(w http.ResponseWriter, r *http.Request) error {
	now := moment()
	who, err := f.caller(r, now)
	if err != nil {
		return err
	}
	read, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	var asked draft
	if err := json.Unmarshal(read, &asked); err != nil {
		return fault(http.StatusBadRequest)
	}
	kind, scope, err := scopeOf(asked.Scope)
	if err != nil {
		return err
	}
	made, ok, err := f.tables.subject(r.Context(), kind, scope, asked.Role)
	if err != nil {
		return err
	}
	if !ok || !who.manages(&made) {
		return fault(http.StatusBadRequest)
	}
	made.uuid, made.state, made.created, made.executionState = uuid.New(), "pending", now, "Scheduled"
	if made.start != nil && made.start.After(now) {
		made.state = "project"
	}
	made.email, made.fullName, made.nativeName = asked.Email, asked.FullName, asked.NativeName
	made.phoneNumber, made.organization, made.jobTitle = asked.PhoneNumber, asked.Organization, asked.JobTitle
	made.civilNumber, made.extraText = asked.CivilNumber, asked.ExtraInvitationText
	made.creatorName, made.creatorUsername, made.creatorImage = who.fullName, who.username, who.image
	done, err := f.tables.create(r.Context(), &made, who)
	if err != nil {
		return err
	}
	if !done { // another invitation is open
		return fault(http.StatusBadRequest)
	}
	w.Header().Set("Location", f.public+"api/user-invitations/"+made.uuid.String()+"/")
	return answer(w, http.StatusCreated, append(f.append(make([]byte, 0, 1024), &made, now), '\n'))
}

func scopeOf(address string) (kind string, id uuid.UUID, err error) {
	parts := strings.Split(strings.TrimSuffix(address, "/"), "/")
	if len(parts) < 2 {
		return "", id, fault(http.StatusBadRequest)
	}
	switch parts[len(parts)-2] {
	case "customers":
		kind = "customer"
	case "projects":
		kind = "project"
	}
	if id, err = uuid.Parse(parts[len(parts)-1]); err != nil || kind == "" {
		return "", id, fault(http.StatusBadRequest)
	}
	return kind, id, nil
}

func (f *floor) accept(w http.ResponseWriter, r *http.Request, id uuid.UUID) error {
	now := moment()
	who, err := f.caller(r, now)
	if err != nil {
		return err
	}
	done, held, err := f.tables.accept(r.Context(), id, who, now)
	switch {
	case err != nil:
		return err
	case held:
		return fault(http.StatusBadRequest)
	case !done:
		return fault(http.StatusNotFound)
	}
	return answer(w, http.StatusOK, []byte(`{"detail":"Invitation has been successfully accepted."}`+"\n"))
}

func answer(w http.ResponseWriter, status int, body []byte) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, err := w.Write(body)
	return err
}

func moment() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

const timestamp = "2006-01-02T15:04:05.000000Z"

// append appends the JSON of an invitation, as the API shows it.
func (f *floor) append(b []byte, i *invitation, now time.Time) []byte {
	quoted := func(name, value string) {
		b = append(append(append(b, ",\""...), name...), "\":"...)
		b = text(b, value)
	}
	plain := func(name string, value fmt.Stringer) {
		b = append(append(append(append(b, ",\""...), name...), "\":\""...), value.String()...)
		b = append(b, '"')
	}
	b = text(append(b, `{"civil_number":`...), i.civilNumber)
	b = append(i.created.AppendFormat(append(b, `,"created":"`...), timestamp), '"')
	quoted("created_by_full_name", i.creatorName)
	if i.creatorImage == "" {
		b = append(b, `,"created_by_image":null`...)
	} else {
		quoted("created_by_image", i.creatorImage)
	}
	quoted("created_by_username", i.creatorUsername)
	quoted("customer_name", i.customerName)
	plain("customer_uuid", i.customer)
	b = append(b, `,"decline_reason":"","declined_at":null`...) // nothing here is declined, and no role ends
	quoted("email", i.email)
	quoted("error_message", i.errorMessage)
	quoted("execution_state", i.executionState)
	b = append(i.expires().AppendFormat(append(b, `,"expires":"`...), timestamp), '"')
	quoted("extra_invitation_text", i.extraText)
	quoted("full_name", i.fullName)
	quoted("job_title", i.jobTitle)
	b = append(b, `,"membership_expires":null`...)
	quoted("native_name", i.nativeName)
	quoted("organization", i.organization)
	quoted("phone_number", i.phoneNumber)
	plain("role", i.role)
	quoted("role_description", i.roleDescription)
	quoted("role_name", i.roleName)
	quoted("scope_description", i.scopeDescription)
	quoted("scope_name", i.scopeName)
	quoted("scope_type", i.scopeType)
	plain("scope_uuid", i.scope)
	quoted("state", i.stateAt(now))
	b = append(append(append(b, `,"url":"`...), f.public...), "api/user-invitations/"...)
	b = append(append(b, i.uuid.String()...), `/","uuid":"`...)
	return append(append(b, i.uuid.String()...), `"}`...)
}

// text appends a JSON string with the escapes of encoding/json.
func text(b []byte, value string) []byte {
	for i := range len(value) {
		if c := value[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(value) // a string always encodes
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), value...), '"')
}
