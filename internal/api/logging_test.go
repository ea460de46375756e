package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/invitation"
)

// The links in mails to staff lead to this server where no front end is configured. A reader of the log must not be able
// to approve or reject.
func TestApprovalTokensAreNotLogged(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "guest@example.com", admin, apollo)
		message, _, err := e.service.BeginNotice(e.context(), e.noticeJobsOf(invitation.NoticeRequested)[0])
		require.NoError(e.t, err)
		for _, link := range []string{message.Requests[0].ApproveLink, message.Requests[0].RejectLink} {
			path := strings.TrimPrefix(link, "https://front.example")
			e.request("GET", path, "", nil).is(http.StatusNotFound, notFound)
			secret := strings.Split(strings.Trim(path, "/"), "/")[1]
			require.NotContains(e.t, e.log.String(), secret)
			require.NotContains(e.t, e.log.String(), strings.Split(secret, ".")[2])
		}
		require.Contains(e.t, e.log.String(), "/invitation_approve/…")
		require.Equal(e.t, "requested", string(e.retrieve(made.UUID).State))
	}, onlyStaff)
}

// Whoever knows the uuid of a group invitation can ask: a reader of the log must not.
func TestUUIDsOfGroupsAreNotLogged(t *testing.T) {
	onEachEngine(t, func(e *env) {
		group := e.group("owner", member, apollo).UUID.String()
		e.request("GET", groupAt(group), "stranger", nil).is(http.StatusOK, "")
		e.request("POST", groupAt(group, "submit_request"), "stranger", nil).is(http.StatusOK, "")
		e.request("GET", groups+strings.ReplaceAll(group, "-", "")+"/", "stranger", nil)
		e.request("GET", "/user-group-invitation/"+group+"/", "", nil).is(http.StatusNotFound, "")
		e.request("HEAD", groups+"count/", "owner", nil)
		for _, path := range []string{groups + "…/", groups + "…/submit_request/", "/user-group-invitation/…", groups + "count/"} {
			require.Contains(e.t, e.log.String(), path)
		}
		require.NotContains(e.t, e.log.String(), group)
		require.NotContains(e.t, e.log.String(), strings.ReplaceAll(group, "-", ""))
	})
}

func TestLoggedAndEchoedTextIsTruncated(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.request("GET", "/"+strings.Repeat("%01", 10_000), "", nil).is(http.StatusNotFound, "")
		for _, line := range strings.Split(e.log.String(), "\n") {
			require.Less(e.t, len(line), 2000)
		}
		r := e.newRequest("POST", base+"approve/", "", "{}")
		r.Header.Set("Content-Type", strings.Repeat("x", 20_000))
		require.Less(e.t, len(e.send(r).is(http.StatusUnsupportedMediaType, "").Body), 500)
	})
}

// The access line and the error line of a 500 are errors. A client that left is no error: nobody misses the response.
func TestLogLevelOfFailures(t *testing.T) {
	for name, test := range map[string]struct {
		left   bool // the client left before the response
		level  string
		status int
	}{
		"failure":     {left: false, level: "ERROR", status: http.StatusInternalServerError},
		"client left": {left: true, level: "INFO", status: http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			onEachEngine(t, func(e *env) {
				e.exec("ALTER TABLE users RENAME TO broken")
				ctx, leave := context.WithCancel(e.context())
				defer leave()
				if test.left {
					leave()
				}
				r := e.newRequest("GET", base, "owner", nil).WithContext(ctx)
				r.Body = http.NoBody // as a server has it
				r.Header.Set("X-Request-ID", "the-request")
				recorder := httptest.NewRecorder()
				e.server.Config.Handler.ServeHTTP(recorder, r)
				require.Equal(e.t, test.status, recorder.Code, recorder.Body.String())
				require.Equal(e.t, []string{test.level}, e.logLevels("request", "the-request"))
				require.Equal(e.t, []string{test.level}, e.logLevels(`"request failed"`, "the-request"))
			})
		})
	}
}

// A request that succeeds, or that the client got wrong, is logged at level info; a probe at level debug.
func TestLogLevelOfAnsweredRequests(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for _, test := range []struct {
			path, user string
			status     int
			level      string
		}{
			{base, "owner", http.StatusOK, "INFO"},
			{base, "", http.StatusUnauthorized, "INFO"},
			{"/nonsense", "owner", http.StatusNotFound, "INFO"},
			{"/healthz", "", http.StatusOK, "DEBUG"},
			{"/readyz", "", http.StatusOK, "DEBUG"},
		} {
			answer := e.request("GET", test.path, test.user, nil).is(test.status, "")
			require.Equal(e.t, []string{test.level}, e.logLevels("request", answer.Header.Get("X-Request-ID")), test.path)
		}
		// The probe of a server that is not ready fails again and again: the warning has the reason.
		notReady := httptest.NewServer(e.withKeys(e.db))
		defer notReady.Close()
		r := e.newRequest("GET", "/readyz", "", nil)
		r.URL.Host = strings.TrimPrefix(notReady.URL, "http://")
		id := e.send(r).is(http.StatusServiceUnavailable, "").Header.Get("X-Request-ID")
		require.Equal(e.t, []string{"DEBUG"}, e.logLevels("request", id))
		require.Equal(e.t, []string{"WARN"}, e.logLevels(`"not ready"`, id))
	})
}

// logLevels returns the levels of the lines with a message that the log has of a request.
func (e *env) logLevels(message, requestID string) []string {
	e.t.Helper()
	var levels []string
	for line := range strings.SplitSeq(e.log.String(), "\n") {
		if strings.Contains(line, " msg="+message+" ") && strings.Contains(line, " request_id="+requestID+" ") {
			_, rest, _ := strings.Cut(line, " level=")
			level, _, _ := strings.Cut(rest, " ")
			levels = append(levels, level)
		}
	}
	return levels
}
