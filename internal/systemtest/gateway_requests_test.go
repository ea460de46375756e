//go:build gateway

package systemtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/systemtest/harness"
)

var nextLink = regexp.MustCompile(`<([^>]+)>; rel="next"`)

// Every URL in a response has the public base and works through the gateway.
func testURLs(t *testing.T, f *front) {
	var last harness.Invitation
	for i := range 3 {
		invitation, a := f.create(fmt.Sprintf("url%d@university.example", i))
		f.checkURLs(a)
		require.Equal(t, f.base+invitationsPath+invitation.UUID+"/", invitation.URL)
		require.Equal(t, invitation.URL, a.Header.Get("Location"))
		got := f.do("GET", a.Header.Get("Location"), "olivia", "").Is(http.StatusOK)
		f.checkURLs(got)
		require.Equal(t, invitation.UUID, got.Invitation().UUID)
		last = invitation
	}
	f.waitMails(1, "url2@university.example", "invitation/"+last.UUID+"/")

	pages := 0
	for page := f.base + invitationsPath + "?page_size=1&state=pending"; page != ""; pages++ {
		a := f.do("GET", page, "olivia", "").Is(http.StatusOK)
		f.checkURLs(a)
		page = ""
		if found := nextLink.FindStringSubmatch(a.Header.Get("Link")); found != nil {
			page = found[1]
		}
	}
	require.Equal(t, 3, pages)
	f.do("POST", invitationsPath+last.UUID+"/check/", "", "").Is(http.StatusOK)
	f.checkURLs(f.do("GET", last.URL+"details/", "sam", "").Is(http.StatusOK))
	f.do("POST", last.URL+"accept/", "ina", "")
	f.checkUUIDIsMasked(last.UUID)
}

var assets = regexp.MustCompile(`(?:src|href)="([^"]+)"`)

// The API reference and all its files work under the prefix.
func testDocs(t *testing.T, f *front) {
	page := f.base + "docs"
	redirect := f.do("GET", page+"/", "", "").Is(http.StatusPermanentRedirect)
	requested, err := url.Parse(page + "/")
	require.NoError(t, err)
	to, err := requested.Parse(redirect.Header.Get("Location"))
	require.NoError(t, err)
	require.Equal(t, page, to.String())

	html := f.do("GET", page, "", "").Is(http.StatusOK)
	require.Contains(t, html.Header.Get("Content-Type"), "text/html")
	found := assets.FindAllStringSubmatch(html.Body, -1)
	require.GreaterOrEqual(t, len(found), 5)
	for _, each := range found {
		asset, err := to.Parse(each[1])
		require.NoError(t, err)
		got := f.do("GET", asset.String(), "", "").Is(http.StatusOK)
		require.NotEmpty(t, got.Body, each[1])
		require.NotContains(t, got.Header.Get("Content-Type"), "text/html", each[1])
	}
	var contract struct{ Servers []struct{ URL string } }
	require.NoError(t, json.Unmarshal([]byte(f.do("GET", "openapi.json", "", "").Is(http.StatusOK).Body), &contract))
	require.Equal(t, strings.TrimSuffix(f.base, "/"), contract.Servers[0].URL)
	f.do("GET", contract.Servers[0].URL+"/"+invitationsPath, "olivia", "").Is(http.StatusOK)
}

// The response, the server's log and the gateway's log have the same request id.
func testRequestIDs(t *testing.T, f *front) {
	long := strings.Repeat("a", 64)
	for _, sent := range [][]string{nil, {"one-of-mine"}, {long}, {long + "a"}, {"bad id"}, {`"><b>`}, {"first-of-two", "bad id"}} {
		var headers []string
		for _, each := range sent {
			headers = append(headers, "X-Request-ID", each)
		}
		a := f.do("GET", invitationsPath, "olivia", "", headers...).Is(http.StatusOK)
		id := f.requestID(a)
		f.waitAccessLine(id)
		if len(sent) == 1 && (sent[0] == long || sent[0] == "one-of-mine") {
			require.Equal(t, sent[0], id)
		} else if len(sent) == 1 {
			require.NotEqual(t, sent[0], id)
		}
		f.replicas[0].WaitUntil("the gateway logs "+id, func() bool {
			content, err := os.ReadFile(f.accessLog)
			require.NoError(t, err)
			return bytes.Contains(content, []byte(`"`+id+`"`))
		})
	}
	f.do("GET", invitationsPath+"?email=hidden@university.example", "olivia", "").Is(http.StatusOK)
	last := f.requestID(f.do("GET", "invitation_approve/hidden-token/?x=1", "", ""))
	f.replicas[0].WaitUntil("the gateway logs", func() bool {
		content, err := os.ReadFile(f.accessLog)
		require.NoError(t, err)
		require.NotContains(t, string(content), "hidden")
		require.NotContains(t, string(content), harness.Key("olivia"))
		return strings.Contains(string(content), last)
	})
}

// forgedHeaders are the headers by which a client, or a gateway before the gateway, can claim another client address, host,
// scheme or path.
var forgedHeaders = []string{
	"X-Forwarded-For", "203.0.113.9", "X-Forwarded-For", "127.0.0.1, 203.0.113.10", "X-Real-IP", "203.0.113.9",
	"X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "http", "X-Forwarded-Scheme", "http", "X-Forwarded-Port", "81",
	"X-Forwarded-Server", "evil.example", "X-Forwarded-Prefix", "/evil", "X-Script-Name", "/evil",
	"X-Original-URL", "/evil", "X-Rewrite-URL", "/evil", "X-Original-Host", "evil.example", "X-Host", "evil.example",
	"Forwarded", `for=203.0.113.9;host=evil.example;proto=http`, "True-Client-IP", "203.0.113.9",
}

// The log has the address of the client's connection, whatever the headers claim.
func testForgedClientAddress(t *testing.T, f *front) {
	for _, source := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"} {
		for _, headers := range [][]string{nil, forgedHeaders} {
			a, err := f.from(source, "GET", invitationsPath+"?page_size=1", "olivia", "", headers...)
			require.NoError(t, err)
			f.checkURLs(a.Is(http.StatusOK))
			require.Contains(t, f.waitAccessLine(f.requestID(a)), " client="+source+" ")
		}
	}
	// The headers of a client that bypasses the gateway are not trusted either.
	a, err := f.from("127.0.0.3", "GET", "http://"+f.replicas[0].Address+harness.InvitationsPath, "olivia", "", forgedHeaders...)
	require.NoError(t, err)
	f.checkURLs(a.Is(http.StatusOK))
	require.Contains(t, f.waitAccessLine(f.requestID(a)), " client=127.0.0.3 ")
}

// However a request is rewritten on its way, the links in the response and in the mails are the same.
func testForgedURL(t *testing.T, f *front) {
	a := f.do("POST", invitationsPath, "olivia", harness.InvitationBody("outside@university.example"), forgedHeaders...).Is(http.StatusCreated)
	f.checkURLs(a)
	f.waitMails(1, "outside@university.example", "invitation/"+a.Invitation().UUID+"/")

	// A gateway may keep the prefix, rewrite Host, and announce that in any of the known headers.
	direct := "http://" + f.replicas[0].Address
	strict := f.env.With("INVITED_ONLY_STAFF_CAN_INVITE_USERS=true", "INVITED_SHUTDOWN_DELAY=0s").Serve()
	for i, host := range []string{"evil.example", "evil.example:81", "127.0.0.1", "evil.example.:0"} {
		headers := append([]string{"Host", host}, forgedHeaders...)
		email := fmt.Sprintf("direct%d@university.example", i)
		a := f.do("POST", direct+harness.InvitationsPath, "olivia", harness.InvitationBody(email), headers...).Is(http.StatusCreated)
		f.checkURLs(a)
		id := a.Invitation().UUID
		require.Equal(t, f.base+invitationsPath+id+"/", a.Header.Get("Location"))
		require.Equal(t, f.base+invitationsPath+id+"/", a.Invitation().URL)
		f.waitMails(1, email, "invitation/"+id+"/")
		f.checkURLs(f.do("POST", direct+harness.InvitationsPath+id+"/send/", "olivia", "", headers...).Is(http.StatusOK))
		f.waitMails(2, email, "invitation/"+id+"/")
		for _, path := range []string{id + "/", id + "/details/"} {
			f.checkURLs(f.do("GET", direct+harness.InvitationsPath+path, "olivia", "", headers...).Is(http.StatusOK))
		}
		list := f.do("GET", direct+harness.InvitationsPath+"?page_size=1&page=2", "olivia", "", headers...).Is(http.StatusOK)
		f.checkURLs(list)
		for _, relation := range []string{"first", "prev", "next", "last"} {
			require.Regexp(t, `<`+f.base+invitationsPath+`\?[^>]*>; rel="`+relation+`"`, list.Header.Get("Link"))
		}
		contract := f.do("GET", direct+"/openapi.json", "", "", headers...).Is(http.StatusOK).Body
		require.Equal(t, f.do("GET", "openapi.json", "", "").Body, contract)
		f.checkURLs(f.do("GET", direct+"/docs/", "", "", headers...).Is(http.StatusPermanentRedirect))
		// A path that the server does not have gets 404, even where it resembles a route.
		for _, path := range []string{"//api//user-invitations//", "//evil.example/docs/", "//evil.example//docs", "/invitations" + harness.InvitationsPath, "//docs/"} {
			f.checkURLs(f.do("GET", direct+path, "olivia", "", headers...).Is(http.StatusNotFound))
		}
		// A request for an absolute URL, as for a proxy.
		f.checkURLs(f.getAbsolute("http://"+host+harness.InvitationsPath+"?page_size=1", headers...).Is(http.StatusOK))
		// The mail to staff has the links that approve.
		requested := f.do("POST", "http://"+strict.Address+harness.InvitationsPath, "olivia", harness.InvitationBody("strict-"+email), headers...).Is(http.StatusCreated)
		f.checkURLs(requested)
		f.waitMails(i+1, "sam@staff.example", "invitation_approve/")
	}
	strict.Stop()

	// The gateway merges slashes.
	id := a.Invitation().UUID
	for _, path := range []string{
		"/" + invitationsPath, "/api//user-invitations//", "//api/user-invitations/" + id + "/", "api/user-invitations//" + id + "//details/",
	} {
		f.checkURLs(f.do("GET", f.base+path, "sam", "", forgedHeaders...).Is(http.StatusOK))
	}
	a = f.do("POST", f.base+"/api//user-invitations//", "olivia", harness.InvitationBody("slashes@university.example"), forgedHeaders...).Is(http.StatusCreated)
	f.checkURLs(a)
	f.waitMails(1, "slashes@university.example", "invitation/"+a.Invitation().UUID+"/")
	f.do("GET", a.Header.Get("Location"), "olivia", "").Is(http.StatusOK)
	list := f.do("GET", f.base+"//api//user-invitations//?page_size=1", "olivia", "", forgedHeaders...).Is(http.StatusOK)
	f.checkURLs(list)
	require.Contains(t, list.Header.Get("Link"), "<"+f.base+invitationsPath+"?")
	f.checkURLs(f.do("GET", f.base+"//evil.example/docs/", "", ""))
}

// getAbsolute sends a replica a request for an absolute URL, as a client sends it to a proxy.
func (f *front) getAbsolute(target string, headers ...string) harness.Response {
	f.t.Helper()
	conn, err := net.Dial("tcp", f.replicas[0].Address)
	require.NoError(f.t, err)
	defer func() { _ = conn.Close() }()
	require.NoError(f.t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	request := "GET " + target + " HTTP/1.1\r\nAuthorization: Token " + harness.Key("olivia") + "\r\nConnection: close\r\n"
	for i := 0; i+1 < len(headers); i += 2 {
		request += headers[i] + ": " + headers[i+1] + "\r\n"
	}
	_, err = io.WriteString(conn, request+"\r\n")
	require.NoError(f.t, err)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(f.t, err)
	content, err := io.ReadAll(response.Body)
	require.NoError(f.t, err)
	return harness.Response{T: f.t, Status: response.StatusCode, Header: response.Header, Body: string(content)}
}

// The gateway's own responses have the form of the contract and trust no header.
func testGatewayResponses(t *testing.T, f *front) {
	for _, path := range []string{"invitations/readyz", "invitations/healthz", "", "elsewhere", "invitationsapi/"} {
		a := f.do("GET", strings.TrimSuffix(f.base, "invitations/")+path, "", "", forgedHeaders...).Is(http.StatusNotFound)
		require.Contains(t, a.Body, `{"detail":"Not found."}`)
		f.requestID(a)
		f.checkURLs(a)
	}
	// Plain HTTP is redirected to TLS, and never to a host that the client names.
	a := f.do("GET", "http://"+f.plain+"/invitations/docs", "", "", append([]string{"Host", publicHost}, forgedHeaders...)...)
	require.Equal(t, http.StatusPermanentRedirect, a.Status)
	to, err := url.Parse(a.Header.Get("Location"))
	require.NoError(t, err)
	require.Equal(t, []string{"https", publicHost, "/invitations/docs"}, []string{to.Scheme, to.Hostname(), to.Path})
	for _, address := range []string{"http://" + f.plain + "/invitations", "https://" + net.JoinHostPort(publicHost, portOf(f.secure)) + "/invitations"} {
		a := f.do("GET", address, "", "", "Host", "evil.example")
		require.NotContains(t, fmt.Sprint(a.Header, a.Body), "evil")
	}
	// The response has the same form whether the gateway or the server refuses the body.
	for i := range 12 {
		size := []int{1 << 20, 9 << 20, 20 << 20}[i%3]
		a = f.do("POST", invitationsPath, "olivia", `{"email": "`+strings.Repeat("x", size)+`"}`).Is(http.StatusRequestEntityTooLarge)
		require.Regexp(t, `^{"detail":"Request body is larger than (64 KiB|8 MiB)\."}\s*$`, a.Body)
		f.requestID(a)
	}
}

// The longest Link header passes the gateway. No query makes a response that the gateway takes for a replica's failure: a
// few of those would take all replicas out of service, for everybody.
func testLongQueries(t *testing.T, f *front) {
	for i := range 3 {
		f.create(fmt.Sprintf("long%d@university.example", i))
	}
	longest := "page=2&page_size=1&email=long"
	for _, filter := range []string{"&scope_name=Apollo", "&email_exact="} { // spaces at the ends of filters are ignored
		longest += filter + strings.Repeat("+", 1950)
	}
	longest += "&role_name=" + strings.Repeat("+", 4096-len(longest)-len("&role_name="))
	for range 6 {
		a := f.do("GET", invitationsPath+"?"+longest, "olivia", "").Is(http.StatusOK)
		require.Equal(t, 4, strings.Count(a.Header.Get("Link"), "rel="))
		require.Greater(t, len(a.Header.Get("Link")), 4*4096)
		f.checkURLs(a)
		next := nextLink.FindStringSubmatch(a.Header.Get("Link"))
		require.NotNil(t, next)
		f.do("GET", next[1], "olivia", "").Is(http.StatusOK)
	}
	for range 6 {
		for query, status := range map[string]int{
			"unknown=" + strings.Repeat("x", 4000):                             http.StatusOK,
			"page=2&page_size=1&unknown=" + strings.Repeat("%22", 1300):        http.StatusOK,
			"page=2&page_size=1&email=" + strings.Repeat("=", 1400):            http.StatusRequestURITooLong,
			"page=2&page_size=1&x=" + strings.Repeat("x", 5000):                http.StatusRequestURITooLong,
			"page=2&page_size=1&x=" + strings.Repeat("x", 7500):                http.StatusRequestURITooLong,
			"page=2&page_size=1&email=" + strings.Repeat("%E2%82%AC", 440):     http.StatusNotFound,
			"state=pending" + strings.Repeat("&state=pending", 280):            http.StatusBadRequest,
			"page_size=1&page=2&scope_name=" + strings.Repeat("%3C", 600) + "": http.StatusNotFound,
		} {
			a := f.do("GET", invitationsPath+"?"+query, "olivia", "").Is(status)
			if status == http.StatusRequestURITooLong {
				require.JSONEq(t, `{"detail": "The query is longer than 4096 bytes."}`, a.Body)
			}
		}
	}
	for range 10 {
		f.do("GET", invitationsPath+"?page_size=1", "olivia", "").Is(http.StatusOK)
	}
}

// A reader of the gateway's log can't accept an invitation.
func (f *front) checkUUIDIsMasked(id string) {
	f.t.Helper()
	f.replicas[0].WaitUntil("the gateway logs "+id[:8], func() bool {
		content, err := os.ReadFile(f.accessLog)
		require.NoError(f.t, err)
		require.NotContains(f.t, string(content), id)
		return strings.Contains(string(content), "/"+id[:8]+".../accept/")
	})
}

// Requests without a token are rate limited by client address, and other clients are not affected.
func testRateLimits(t *testing.T, f *front) {
	if !f.g.limits {
		t.Skip(f.g.name + " of the distribution has no rate limits: its README.md says so")
	}
	invitation, _ := f.create("limits@university.example")
	id := invitation.UUID
	paths := []string{invitationsPath + id + "/check/", "/api//user-invitations/" + id + "//check/", invitationsPath + id + "/%63heck/", invitationsPath + "approve/", invitationsPath + "reject/"}
	const unknownUUID = "00000000-0000-4000-8000-000000000000"
	limited := 0
	for i := range 60 {
		a, err := f.from("127.0.0.2", "POST", f.base+paths[i%len(paths)], "", "", "X-Forwarded-For", fmt.Sprintf("203.0.113.%d", i))
		require.NoError(t, err)
		if a.Status != http.StatusTooManyRequests {
			require.Contains(t, []int{http.StatusOK, http.StatusBadRequest}, a.Status, a.Body)
			continue
		}
		limited++
		require.JSONEq(t, `{"detail": "Request was throttled."}`, a.Body)
		require.Equal(t, "application/json", a.Header.Get("Content-Type"))
		require.Equal(t, "1", a.Header.Get("Retry-After"))
		f.requestID(a)
		// The same client can use the rest of the API, and other clients can use the limited operations.
		if limited%10 == 1 {
			a, err := f.from("127.0.0.2", "GET", invitationsPath+"?page_size=1", "olivia", "")
			require.NoError(t, err)
			a.Is(http.StatusOK)
			a, err = f.from("127.0.0.2", "POST", unknownUUID+"/accept/", "ina", "")
			require.NoError(t, err)
			a.Is(http.StatusNotFound)
			f.do("POST", invitationsPath+unknownUUID+"/check/", "", "").Is(http.StatusNotFound)
		}
	}
	require.Greater(t, limited, 25, "of 60")
	t.Logf("%d of 60 were limited", limited)
}

// Reading the database without a token has a wider limit, whatever the spelling of the path. With a token there is none, but for
// the pages behind links, which take none.
func testReadLimits(t *testing.T, f *front) {
	if !f.g.limits {
		t.Skip(f.g.name + " of the distribution has no rate limits: its README.md says so")
	}
	const unknown = "api/user-group-invitations/00000000-0000-4000-8000-000000000000/"
	paths := []string{
		"api/user-group-invitations/?is_active=true&is_public=true", "/api//user-group-invitations//", "api/%75ser-group-invitations/",
		unknown, "api/roles/?page_size=1",
	}
	pages := []string{"user-group-invitation/00000000-0000-4000-8000-000000000000/", "/%69nvitation//00000000-0000-4000-8000-000000000000/"}
	all := slices.Concat(paths, pages)
	limited, limitedPaths := 0, map[string]bool{}
	for i := range 300 {
		a, err := f.from("127.0.0.3", []string{"GET", "HEAD"}[i%2], f.base+all[i%len(all)], "", "")
		require.NoError(t, err)
		if a.Status != http.StatusTooManyRequests {
			require.Contains(t, []int{http.StatusOK, http.StatusNotFound, http.StatusMethodNotAllowed}, a.Status, a.Body)
			continue
		}
		require.GreaterOrEqual(t, i, 100, "everybody in a lecture room can have the same address")
		limitedPaths[all[i%len(all)]] = true
		if limited++; limited%20 == 1 {
			require.Equal(t, "1", a.Header.Get("Retry-After"))
			for _, path := range paths {
				a, err := f.from("127.0.0.3", "GET", f.base+path, "olivia", "")
				require.NoError(t, err)
				require.NotEqual(t, http.StatusTooManyRequests, a.Status, path)
			}
		}
	}
	for _, path := range all {
		require.Contains(t, limitedPaths, path)
	}
	t.Logf("%d of 300 were limited", limited)
}
