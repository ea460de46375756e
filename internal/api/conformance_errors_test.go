package api_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/fault"
)

const nobodysID = "0f5a9f2e-7a55-4c7e-9f0a-6b3a6a0c6a11"

func TestUnknownPaths(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for _, path := range []string{
			"/", "/api/", "/api/users/", at(nobodysID, "nonsense"),
			at(nobodysID, "accept") + "more/", "//api//user-invitations/",
		} {
			for _, method := range []string{"GET", "POST"} {
				e.request(method, path, "staff", nil).is(http.StatusNotFound, notFound)
			}
		}
	})
}

func TestUUIDFormsInPaths(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, apollo)
		short := strings.ReplaceAll(made.UUID.String(), "-", "")
		e.request("GET", at(short), "owner", nil).is(http.StatusOK, "")
		e.request("GET", at(short, "details"), "owner", nil).is(http.StatusOK, "")
		for _, each := range []struct{ user, action string }{
			{"", "check"}, {"owner", "send"}, {"owner", "cancel"}, {"owner", "send"}, {"stranger", "accept"}, {"staff", "delete"},
		} {
			e.request("POST", at(short, each.action), each.user, nil).is(http.StatusOK, "")
		}
		for _, action := range []string{"accept", "cancel", "send", "delete", "check"} {
			for _, id := range []string{"nonsense", short + "0", "%7B" + nobodysID + "%7D", "urn:uuid:" + nobodysID} {
				e.request("POST", at(id, action), "staff", nil).is(http.StatusNotFound, notFound)
			}
		}
	})
}

func TestMethodNotAllowed(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for _, each := range []struct{ method, path, allow string }{
			{"TRACE", base, "GET, POST"},
			{"DELETE", base, "GET, POST"},
			{"POST", at(nobodysID), "GET"},
			{"POST", at(nobodysID, "details"), "GET"},
			{"GET", at(nobodysID, "accept"), "POST"},
			{"GET", at(nobodysID, "cancel"), "POST"},
			{"PUT", at(nobodysID, "send"), "POST"},
			{"DELETE", at(nobodysID, "delete"), "POST"},
			{"GET", at(nobodysID, "check"), "POST"},
			{"GET", base + "approve/", "POST"},
			{"GET", base + "reject/", "POST"},
			{"PATCH", base + "reject/", "POST"},
		} {
			answer := e.request(each.method, each.path, "staff", nil).
				is(http.StatusMethodNotAllowed, detailBody(fmt.Sprintf("Method %q not allowed.", each.method)))
			for _, method := range strings.Split(each.allow, ", ") {
				require.Contains(e.t, answer.Header.Get("Allow"), method)
			}
			require.NotContains(e.t, answer.Header.Get("Allow"), each.method)
		}
	})
}

func TestBodySizeLimit(t *testing.T) {
	onEachEngine(t, func(e *env) {
		body := toJSON(draft("a@x.example", admin, apollo))
		e.request("POST", base, "owner", strings.Repeat(" ", 64<<10-len(body))+body).is(http.StatusCreated, "")
		e.request("POST", base, "owner", strings.Repeat(" ", 64<<10-len(body)+1)+body).is(http.StatusRequestEntityTooLarge, "")
	})
}

func TestInvalidJSON(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for _, path := range []string{base, base + "approve/", base + "reject/"} {
			for _, media := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml"} {
				r := e.newRequest("POST", path, "owner", `{"token": "x"}`)
				r.Header.Set("Content-Type", media)
				e.send(r).is(http.StatusUnsupportedMediaType, detailBody(fmt.Sprintf("Unsupported media type %q in request.", media)))
			}
			for _, body := range []string{
				"x", "{", `{"token": "x"`, `{"token": "x"} x`, `{"token": "x"}{}`, `{"token": "x",}`, `{'token': 'x'}`,
				`{"token": "x", "token": "y"}`, "{\"token\": \"\xff\"}", `{"token": "\ud800"}`, `{token: "x"}`, `// x`,
				`[]`, `"x"`, `1`, `null`, `true`, `[{"token": "x"}]`, strings.Repeat("[", 15_000),
			} {
				answer := e.request("POST", path, "owner", body)
				require.Equal(e.t, []string{"non_field_errors"}, answer.invalidFields(), body)
			}
		}
		r := e.newRequest("POST", base, "owner", draft("a@x.example", admin, apollo))
		r.Header.Set("Content-Type", "Application/JSON; Charset=UTF-8")
		e.send(r).is(http.StatusCreated, "")
	})
}

func TestAcceptHeader(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, apollo)
		ask := func(accept ...string) response {
			r := e.newRequest("GET", at(made.UUID.String()), "owner", nil)
			r.Header["Accept"] = accept
			return e.send(r)
		}
		for _, accept := range [][]string{
			nil,
			{""},
			{"*/*"},
			{"application/*"},
			{"application/json"},
			{"Application/JSON; indent=4"},
			{"application/json; charset=utf-8"},
			{"text/html, */*;q=0.1"},
			{"text/html", "application/json"},
			{"*/*;q=0, application/json"},
			{"nonsense"},
			{"nonsense, application/json;q=0.001"},
			{"application/json;q=x"},
			{"text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"}, // a browser's
		} {
			require.Equal(e.t, http.StatusOK, ask(accept...).Status, accept)
		}
		refused := detailBody("Could not satisfy the request Accept header.")
		for _, accept := range []string{
			"text/html", "text/*", "application/vnd.api+json", "application/json;q=0", "*/*;q=0", "application/json;q=0, */*",
			"text/html, nonsense",
		} {
			ask(accept).is(http.StatusNotAcceptable, refused)
		}
		// The request was not executed. The check comes before authentication.
		r := e.newRequest("POST", base, "", draft("b@x.example", admin, apollo))
		r.Header.Set("Accept", "text/html")
		e.send(r).is(http.StatusNotAcceptable, refused)
		e.request("GET", base+"?email=b@x.example", "owner", nil).is(http.StatusOK, `[]`)
	})
}

// Operations that take no body ignore the body.
func TestActionsIgnoreTheirBody(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, apollo)
		for _, body := range []string{"", "{}", "not JSON", `{"email": "x"}`, "\xff"} {
			e.request("POST", at(made.UUID.String(), "check"), "", body).is(http.StatusOK, "")
			e.request("POST", at(made.UUID.String(), "send"), "owner", body).is(http.StatusOK, sentBody)
			e.request("POST", at(made.UUID.String(), "cancel"), "owner", body).is(http.StatusOK, canceledBody)
			e.request("POST", at(made.UUID.String(), "send"), "owner", body).is(http.StatusOK, sentBody)
		}
	})
}

// Errors show nothing of the database or the code.
func TestErrorsShowNoInternals(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for _, each := range []response{
			e.request("GET", at(nobodysID), "stranger", nil),
			e.request("GET", base+"?customer_uuid='%20OR%201=1--", "stranger", nil),
			e.request("POST", base, "owner", `{"email": "'; DROP TABLE users; --", "role": 1, "scope": {}}`),
			e.request("POST", base+"approve/", "", `{"token": "'"}`),
		} {
			for _, word := range []string{"SQL", "sql", "goroutine", ".go:", "gorm", "uuid.UUID", "schema"} {
				require.NotContains(e.t, each.Body, word)
			}
		}
	})
}

// A throttled client learns when to try again, from the header and from the message alike.
func TestThrottledRequests(t *testing.T) {
	onEachEngine(t, func(e *env) {
		handler := e.withKeys(badKeys(func(context.Context) (directory.User, error) {
			return directory.User{}, fmt.Errorf("counting mails: %w", fault.Throttled(41*time.Second+time.Millisecond))
		}))
		for _, path := range []string{base, at(nobodysID), at(nobodysID, "details")} {
			recorder := httptest.NewRecorder()
			r := e.newRequest("GET", path, "owner", nil)
			r.Body = http.NoBody
			handler.ServeHTTP(recorder, r)
			answer := response{e.t, recorder.Code, recorder.Header(), recorder.Body.String()}
			answer.is(http.StatusTooManyRequests, detailBody("Request was throttled. Expected available in 42 seconds."))
			require.Equal(e.t, "42", answer.Header.Get("Retry-After"))
		}
	})
}
