//go:build gateway

package main

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
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var nextLink = regexp.MustCompile(`<([^>]+)>; rel="next"`)

// Every URL that the server says is on the outside, and leads there.
func frontURLs(t *testing.T, f *front) {
	var last made
	for i := range 3 {
		invitation, a := f.create(fmt.Sprintf("url%d@university.example", i))
		f.right(a)
		require.Equal(t, f.base+below+invitation.UUID+"/", invitation.URL)
		require.Equal(t, invitation.URL, a.header.Get("Location"))
		got := f.ask("GET", a.header.Get("Location"), "olivia", "").is(http.StatusOK)
		f.right(got)
		require.Equal(t, invitation.UUID, got.invitation().UUID)
		last = invitation
	}
	f.mailed(1, "url2@university.example", "invitation/"+last.UUID+"/")

	seen := 0
	for page := f.base + below + "?page_size=1&state=pending"; page != ""; seen++ {
		a := f.ask("GET", page, "olivia", "").is(http.StatusOK)
		f.right(a)
		page = ""
		if found := nextLink.FindStringSubmatch(a.header.Get("Link")); found != nil {
			page = found[1]
		}
	}
	require.Equal(t, 3, seen)
	f.ask("POST", below+last.UUID+"/check/", "", "").is(http.StatusOK)
	f.right(f.ask("GET", last.URL+"details/", "sam", "").is(http.StatusOK))
}

var assets = regexp.MustCompile(`(?:src|href)="([^"]+)"`)

// The reference is whole under the prefix.
func frontDocs(t *testing.T, f *front) {
	page := f.base + "docs"
	moved := f.ask("GET", page+"/", "", "").is(http.StatusPermanentRedirect)
	at, err := url.Parse(page + "/")
	require.NoError(t, err)
	to, err := at.Parse(moved.header.Get("Location"))
	require.NoError(t, err)
	require.Equal(t, page, to.String())

	html := f.ask("GET", page, "", "").is(http.StatusOK)
	require.Contains(t, html.header.Get("Content-Type"), "text/html")
	found := assets.FindAllStringSubmatch(html.body, -1)
	require.GreaterOrEqual(t, len(found), 5)
	for _, each := range found {
		asset, err := to.Parse(each[1])
		require.NoError(t, err)
		got := f.ask("GET", asset.String(), "", "").is(http.StatusOK)
		require.NotEmpty(t, got.body, each[1])
		require.NotContains(t, got.header.Get("Content-Type"), "text/html", each[1])
	}
	var contract struct{ Servers []struct{ URL string } }
	require.NoError(t, json.Unmarshal([]byte(f.ask("GET", "openapi.json", "", "").is(http.StatusOK).body), &contract))
	require.Equal(t, strings.TrimSuffix(f.base, "/"), contract.Servers[0].URL)
	f.ask("GET", contract.Servers[0].URL+"/"+below, "olivia", "").is(http.StatusOK)
}

// One id from end to end: in the answer, the server's log and the gateway's.
func frontIDs(t *testing.T, f *front) {
	long := strings.Repeat("a", 64)
	for _, sent := range [][]string{nil, {"one-of-mine"}, {long}, {long + "a"}, {"bad id"}, {`"><b>`}, {"first-of-two", "bad id"}} {
		var headers []string
		for _, each := range sent {
			headers = append(headers, "X-Request-ID", each)
		}
		a := f.ask("GET", below, "olivia", "", headers...).is(http.StatusOK)
		id := f.idOf(a)
		f.logged(id)
		if len(sent) == 1 && (sent[0] == long || sent[0] == "one-of-mine") {
			require.Equal(t, sent[0], id)
		} else if len(sent) == 1 {
			require.NotEqual(t, sent[0], id)
		}
		f.replicas[0].until("the gateway logs "+id, func() bool {
			content, err := os.ReadFile(f.access)
			require.NoError(t, err)
			return bytes.Contains(content, []byte(`"`+id+`"`))
		})
	}
	f.ask("GET", below+"?email=private@university.example", "olivia", "").is(http.StatusOK)
	last := f.idOf(f.ask("GET", "invitation_approve/private-token/?x=1", "", ""))
	f.replicas[0].until("the gateway logs", func() bool {
		content, err := os.ReadFile(f.access)
		require.NoError(t, err)
		require.NotContains(t, string(content), "private")
		require.NotContains(t, string(content), "olivia-key")
		return strings.Contains(string(content), last)
	})
}

// What a client, or a gateway before the gateway, can say about who asked whom for what.
var lies = []string{
	"X-Forwarded-For", "203.0.113.9", "X-Forwarded-For", "127.0.0.1, 203.0.113.10", "X-Real-IP", "203.0.113.9",
	"X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "http", "X-Forwarded-Scheme", "http", "X-Forwarded-Port", "81",
	"X-Forwarded-Server", "evil.example", "X-Forwarded-Prefix", "/evil", "X-Script-Name", "/evil",
	"X-Original-URL", "/evil", "X-Rewrite-URL", "/evil", "X-Original-Host", "evil.example", "X-Host", "evil.example",
	"Forwarded", `for=203.0.113.9;host=evil.example;proto=http`, "True-Client-IP", "203.0.113.9",
}

// The address in the log is that of the client's connection, whatever it says.
func frontSpoofed(t *testing.T, f *front) {
	for _, source := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"} {
		for _, headers := range [][]string{nil, lies} {
			a, err := f.from(source, "GET", below+"?page_size=1", "olivia", "", headers...)
			require.NoError(t, err)
			f.right(a.is(http.StatusOK))
			require.Contains(t, f.logged(f.idOf(a)), " client="+source+" ")
		}
	}
	// Somebody who got around the gateway is not believed either.
	a, err := f.from("127.0.0.3", "GET", "http://"+f.replicas[0].address+invitations, "olivia", "", lies...)
	require.NoError(t, err)
	f.right(a.is(http.StatusOK))
	require.Contains(t, f.logged(f.idOf(a)), " client=127.0.0.3 ")
}

// However a request was rewritten on its way, the links that come of it are the same.
func frontRewritten(t *testing.T, f *front) {
	a := f.ask("POST", below, "olivia", draft("outside@university.example"), lies...).is(http.StatusCreated)
	f.right(a)
	f.mailed(1, "outside@university.example", "invitation/"+a.invitation().UUID+"/")

	// As a gateway would send it that strips or keeps a prefix, rewrites Host and says so in all known ways.
	direct := "http://" + f.replicas[0].address
	strict := f.s.with("INVITED_ONLY_STAFF_CAN_INVITE_USERS=true", "INVITED_SHUTDOWN_DELAY=0s").serve()
	for i, host := range []string{"evil.example", "evil.example:81", "127.0.0.1", "evil.example.:0"} {
		headers := append([]string{"Host", host}, lies...)
		email := fmt.Sprintf("direct%d@university.example", i)
		a := f.ask("POST", direct+invitations, "olivia", draft(email), headers...).is(http.StatusCreated)
		f.right(a)
		id := a.invitation().UUID
		require.Equal(t, f.base+below+id+"/", a.header.Get("Location"))
		require.Equal(t, f.base+below+id+"/", a.invitation().URL)
		f.mailed(1, email, "invitation/"+id+"/")
		f.right(f.ask("POST", direct+invitations+id+"/send/", "olivia", "", headers...).is(http.StatusOK))
		f.mailed(2, email, "invitation/"+id+"/")
		for _, path := range []string{id + "/", id + "/details/"} {
			f.right(f.ask("GET", direct+invitations+path, "olivia", "", headers...).is(http.StatusOK))
		}
		list := f.ask("GET", direct+invitations+"?page_size=1&page=2", "olivia", "", headers...).is(http.StatusOK)
		f.right(list)
		for _, relation := range []string{"first", "prev", "next", "last"} {
			require.Regexp(t, `<`+f.base+below+`\?[^>]*>; rel="`+relation+`"`, list.header.Get("Link"))
		}
		contract := f.ask("GET", direct+"/openapi.json", "", "", headers...).is(http.StatusOK).body
		require.Equal(t, f.ask("GET", "openapi.json", "", "").body, contract)
		f.right(f.ask("GET", direct+"/docs/", "", "", headers...).is(http.StatusPermanentRedirect))
		// A path that the server does not have is none, rather than one like it.
		for _, path := range []string{"//api//user-invitations//", "//evil.example/docs/", "//evil.example//docs", "/invitations" + invitations, "//docs/"} {
			f.right(f.ask("GET", direct+path, "olivia", "", headers...).is(http.StatusNotFound))
		}
		// The host in the place of a path, as proxies are asked.
		f.right(f.absolute("http://"+host+invitations+"?page_size=1", headers...).is(http.StatusOK))
		// What staff are mailed has the links that do the most.
		asked := f.ask("POST", "http://"+strict.address+invitations, "olivia", draft("strict-"+email), headers...).is(http.StatusCreated)
		f.right(asked)
		f.mailed(i+1, "sam@staff.example", "invitation_approve/")
	}
	strict.stop()

	// The gateway makes one slash of many.
	id := a.invitation().UUID
	for _, path := range []string{
		"/" + below, "/api//user-invitations//", "//api/user-invitations/" + id + "/", "api/user-invitations//" + id + "//details/",
	} {
		f.right(f.ask("GET", f.base+path, "sam", "", lies...).is(http.StatusOK))
	}
	a = f.ask("POST", f.base+"/api//user-invitations//", "olivia", draft("slashes@university.example"), lies...).is(http.StatusCreated)
	f.right(a)
	f.mailed(1, "slashes@university.example", "invitation/"+a.invitation().UUID+"/")
	f.ask("GET", a.header.Get("Location"), "olivia", "").is(http.StatusOK)
	list := f.ask("GET", f.base+"//api//user-invitations//?page_size=1", "olivia", "", lies...).is(http.StatusOK)
	f.right(list)
	require.Contains(t, list.header.Get("Link"), "<"+f.base+below+"?")
	f.right(f.ask("GET", f.base+"//evil.example/docs/", "", ""))
}

// absolute asks a replica for a URL in full, which no client but one of a proxy does.
func (f *front) absolute(target string, headers ...string) answer {
	f.t.Helper()
	conn, err := net.Dial("tcp", f.replicas[0].address)
	require.NoError(f.t, err)
	defer func() { _ = conn.Close() }()
	require.NoError(f.t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	request := "GET " + target + " HTTP/1.1\r\nAuthorization: Token olivia-key\r\nConnection: close\r\n"
	for i := 0; i+1 < len(headers); i += 2 {
		request += headers[i] + ": " + headers[i+1] + "\r\n"
	}
	_, err = io.WriteString(conn, request+"\r\n")
	require.NoError(f.t, err)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(f.t, err)
	content, err := io.ReadAll(response.Body)
	require.NoError(f.t, err)
	return answer{f.t, response.StatusCode, response.Header, string(content)}
}

// What the gateway itself says.
func frontOwnAnswers(t *testing.T, f *front) {
	for _, path := range []string{"invitations/readyz", "invitations/healthz", "", "elsewhere", "invitationsapi/"} {
		a := f.ask("GET", strings.TrimSuffix(f.base, "invitations/")+path, "", "", lies...).is(http.StatusNotFound)
		require.Contains(t, a.body, `{"detail":"Not found."}`)
		f.idOf(a)
		f.right(a)
	}
	// Plain HTTP leads to TLS, and to no host of the client's.
	a := f.ask("GET", "http://"+f.plain+"/invitations/docs", "", "", append([]string{"Host", outsideName}, lies...)...)
	require.Equal(t, http.StatusPermanentRedirect, a.status)
	to, err := url.Parse(a.header.Get("Location"))
	require.NoError(t, err)
	require.Equal(t, []string{"https", outsideName, "/invitations/docs"}, []string{to.Scheme, to.Hostname(), to.Path})
	for _, address := range []string{"http://" + f.plain + "/invitations", "https://" + net.JoinHostPort(outsideName, portOf(f.secure)) + "/invitations"} {
		a := f.ask("GET", address, "", "", "Host", "evil.example")
		require.NotContains(t, fmt.Sprint(a.header, a.body), "evil")
	}
	// Whoever of the two says it.
	for i := range 12 {
		size := []int{1 << 20, 9 << 20, 20 << 20}[i%3]
		a = f.ask("POST", below, "olivia", `{"email": "`+strings.Repeat("x", size)+`"}`).is(http.StatusRequestEntityTooLarge)
		require.JSONEq(t, `{"detail": "Request body is larger than 1 MiB."}`, a.body)
		f.idOf(a)
	}
}

// Nobody can ask without a token as often as they like, and nobody else suffers.
func frontLimits(t *testing.T, f *front) {
	if !f.g.limits {
		t.Skip(f.g.name + " of the distribution has no rate limits: its README.md says so")
	}
	invitation, _ := f.create("limits@university.example")
	id := invitation.UUID
	paths := []string{below + id + "/check/", "/api//user-invitations/" + id + "//check/", below + id + "/%63heck/", below + "approve/", below + "reject/"}
	const nobodys = "00000000-0000-4000-8000-000000000000"
	limited := 0
	for i := range 60 {
		a, err := f.from("127.0.0.2", "POST", f.base+paths[i%len(paths)], "", "", "X-Forwarded-For", fmt.Sprintf("203.0.113.%d", i))
		require.NoError(t, err)
		if a.status != http.StatusTooManyRequests {
			require.Contains(t, []int{http.StatusOK, http.StatusBadRequest}, a.status, a.body)
			continue
		}
		limited++
		require.JSONEq(t, `{"detail": "Request was throttled."}`, a.body)
		require.Equal(t, "application/json", a.header.Get("Content-Type"))
		require.Equal(t, "1", a.header.Get("Retry-After"))
		f.idOf(a)
		// The rest of the API is there for the same client, and the three operations are for others.
		if limited%10 == 1 {
			a, err := f.from("127.0.0.2", "GET", below+"?page_size=1", "olivia", "")
			require.NoError(t, err)
			a.is(http.StatusOK)
			a, err = f.from("127.0.0.2", "POST", nobodys+"/accept/", "ina", "")
			require.NoError(t, err)
			a.is(http.StatusNotFound)
			f.ask("POST", below+nobodys+"/check/", "", "").is(http.StatusNotFound)
		}
	}
	require.Greater(t, limited, 25, "of 60")
	t.Logf("%d of 60 were limited", limited)
}
