package web_test

import (
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/identity"
)

func TestSignInWithCode(t *testing.T) {
	onEachEngine(t, func(e *env) {
		b := e.browser()
		require.False(e, b.isSignedIn())
		asked := b.post("/sign-in/", "email", " ina@UNIVERSITY.example ", "return_to", "/invitation/x/")
		require.Equal(e, http.StatusSeeOther, asked.status)
		require.Equal(e, "/sign-in/code/?return_to=/invitation/x/", asked.location)
		code := e.lastCode()
		entered := b.post("/sign-in/code/", "code", " "+code[:3]+" "+code[3:], "return_to", "/invitation/x/")
		require.Equal(e, http.StatusSeeOther, entered.status)
		require.Equal(e, "/invitation/x/", entered.location)
		require.Contains(e, b.get("/").body, "Ina Invitee")
		require.False(e, e.browser().isSignedIn())
		require.NotContains(e, e.log.String(), code)

		require.Equal(e, http.StatusSeeOther, b.post("/sign-out/").status)
		require.False(e, b.isSignedIn())
	})
}

// A code works once, in the browser that asked for it, and a new code of that browser ends it.
func TestCodeIsBoundToItsBrowser(t *testing.T) {
	onEachEngine(t, func(e *env) {
		mine, other := e.browser(), e.browser()
		mine.post("/sign-in/", "email", "ina@university.example")
		code := e.lastCode()
		require.Equal(e, http.StatusBadRequest, other.post("/sign-in/code/", "code", code).status)
		other.post("/sign-in/", "email", "olivia@acme.example")
		if code != e.lastCode() {
			require.Equal(e, http.StatusBadRequest, other.post("/sign-in/code/", "code", code).status)
		}
		require.False(e, other.isSignedIn())

		mine.post("/sign-in/", "email", "olivia@acme.example")
		if code != e.lastCode() {
			require.Equal(e, http.StatusBadRequest, mine.post("/sign-in/code/", "code", code).status, "replaced")
		}
		code = e.lastCode()
		cookies := mine.client.Jar.Cookies(mustParse(e, e.server.URL))
		require.Equal(e, http.StatusSeeOther, mine.post("/sign-in/code/", "code", code).status)
		replayed := e.browser()
		replayed.client.Jar.SetCookies(mustParse(e, e.server.URL), cookies)
		require.Equal(e, http.StatusBadRequest, replayed.post("/sign-in/code/", "code", code).status, "used")
		require.False(e, replayed.isSignedIn())
	})
}

func TestCodeEnds(t *testing.T) {
	onEachEngine(t, func(e *env) {
		b := e.browser()
		b.post("/sign-in/", "email", "ina@university.example")
		code := e.lastCode()
		e.clock.Advance(10 * time.Minute)
		require.Contains(e, b.post("/sign-in/code/", "code", code).body, "does not work any more")
		require.Nil(e, e.codes()[0], "a late mail is not sent")

		b.post("/sign-in/", "email", "ina@university.example")
		code = e.lastCode()
		wrong := "000000"
		if code == wrong {
			wrong = "000001"
		}
		for range 4 {
			require.Contains(e, b.post("/sign-in/code/", "code", wrong).body, "That is not the code")
		}
		require.Contains(e, b.post("/sign-in/code/", "code", wrong).body, "does not work any more")
		require.Equal(e, http.StatusBadRequest, b.post("/sign-in/code/", "code", code).status)
		require.False(e, b.isSignedIn())
	})
}

// Nobody learns from the answer whether an address is known, and a mail goes only to one that is.
func TestAnswersTellNothingOfAnAddress(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.invite("new@university.example", apollo)
		varying := regexp.MustCompile(`[A-Za-z0-9._-]+@[a-z.]+`)
		var first []string
		for email, mailed := range map[string]bool{
			"ina@university.example": true, "new@university.example": true, "nobody@university.example": false,
			"gone@acme.example": false, "twin@acme.example": false,
		} {
			b := e.browser()
			asked := b.post("/sign-in/", "email", email)
			shown := b.get("/sign-in/code/")
			wrong := b.post("/sign-in/code/", "code", "x")
			answers := []string{asked.location, asked.body, varying.ReplaceAllString(shown.body, ""), varying.ReplaceAllString(wrong.body, "")}
			if first == nil {
				first = answers
			}
			require.Equal(e, first, answers, email)
			all := e.codes()
			require.Equal(e, mailed, all[len(all)-1] != nil, email)
		}
	})
}

// At most five codes an hour go to an address, and at most thirty are asked for from a client.
func TestCodesAreLimited(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for range 5 {
			require.Equal(e, http.StatusSeeOther, e.browser().post("/sign-in/", "email", "ina@university.example").status)
		}
		limited := e.browser().post("/sign-in/", "email", "INA@university.example")
		require.Equal(e, http.StatusTooManyRequests, limited.status)
		require.Equal(e, "3600", limited.header.Get("Retry-After"))
		require.Contains(e, limited.body, "Wait 60 minutes")
		require.Len(e, e.codes(), 5)
		for i := range 25 {
			require.Equal(e, http.StatusSeeOther, e.browser().post("/sign-in/", "email", strings.Repeat("x", i+1)+"@example.org").status)
		}
		require.Equal(e, http.StatusTooManyRequests, e.browser().post("/sign-in/", "email", "other@example.org").status)
		e.clock.Advance(time.Hour)
		require.Equal(e, http.StatusSeeOther, e.browser().post("/sign-in/", "email", "ina@university.example").status)
	})
}

func TestSessionEnds(t *testing.T) {
	onEachEngine(t, func(e *env) {
		idle, busy, inactive := e.browser(), e.browser(), e.browser()
		idle.signIn("ina@university.example")
		busy.signIn("ina@university.example")
		inactive.signIn("olivia@acme.example")
		for range 9 {
			e.clock.Advance(50 * time.Minute)
			require.True(e, busy.isSignedIn())
			require.True(e, inactive.isSignedIn())
		}
		require.False(e, idle.isSignedIn())
		e.apply("users: [{username: olivia, is_active: false}]")
		require.False(e, inactive.isSignedIn())
		e.clock.Advance(40 * time.Minute)
		require.False(e, busy.isSignedIn(), "eight hours are over")

		busy.signIn("ina@university.example")
		ended, err := e.identity.SignOutUser(e.Context(), "ina")
		require.NoError(e, err)
		require.Positive(e, ended)
		require.False(e, busy.isSignedIn())
	})
}

// Ended sessions and old requests for codes are swept away, and others stay.
func TestSweep(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.browser().signIn("ina@university.example")
		e.clock.Advance(24*time.Hour + time.Second)
		b := e.browser()
		b.signIn("ina@university.example")
		require.NoError(e, e.identity.Sweep(e.Context()))
		require.True(e, b.isSignedIn())
		ended, err := e.identity.SignOutUser(e.Context(), "ina")
		require.NoError(e, err)
		require.Equal(e, 1, ended)
	})
}

// Who has an open invitation and no user gets one. A username that is taken stays its user's.
func TestSignInMakesAUser(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.invite("New@University.example", apollo)
		b := e.browser()
		b.signIn("new@university.example")
		got := e.user("new@university.example-2")
		require.Equal(e, "new@university.example", got.EmailFolded)
		require.False(e, got.IsStaff)
		require.Equal(e, "other@university.example", e.user("new@university.example").Email)
		e.browser().signIn("new@university.example") // the same user
		require.Equal(e, got.UUID, e.user("new@university.example-2").UUID)
		require.Equal(e, "You are invited", b.get("/invitation/"+made.UUID.String()+"/").heading(e))
	})
}

func TestPolicyOfNewUsers(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.invite("late@university.example", apollo)
		e.invite("new@university.example", apollo)
		mailed := func(create identity.CreateUsers, email string) bool {
			e.identity.Create = create
			require.Equal(e, http.StatusSeeOther, e.browser().post("/sign-in/", "email", email).status)
			all := e.codes()
			return all[len(all)-1] != nil
		}
		require.False(e, mailed(identity.CreateNone, "new@university.example"))
		require.False(e, mailed(identity.CreateInvited, "nobody@example.org"))
		require.True(e, mailed(identity.CreateAny, "nobody@example.org"))
		require.True(e, mailed(identity.CreateInvited, "late@university.example"))
		e.clock.Advance(7 * 24 * time.Hour)
		require.True(e, mailed(identity.CreateInvited, "late@university.example"), "who comes late can ask for a new one")
		require.NoError(e, e.service.Sweep(e.Context()))
		e.clock.Advance(30*24*time.Hour - time.Second)
		require.True(e, mailed(identity.CreateInvited, "late@university.example"))
		e.clock.Advance(time.Second)
		require.False(e, mailed(identity.CreateInvited, "late@university.example"), "the invitation expired long ago")
	})
}

func TestBadAddress(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for _, email := range []string{"", "ina", "a@b@c", "a\r\nBcc: x@y.example@z.example", strings.Repeat("x", 300) + "@example.org"} {
			got := e.browser().post("/sign-in/", "email", email)
			require.Equal(e, http.StatusBadRequest, got.status, email)
			require.Contains(e, got.body, "Enter a valid e-mail address.")
		}
		require.Empty(e, e.codes())
	})
}

// Who was shut out does not come back as somebody new, whoever invites them.
func TestInactiveUserIsNotMadeAgain(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.invite("gone@acme.example", apollo)
		for _, create := range []identity.CreateUsers{identity.CreateInvited, identity.CreateAny} {
			e.identity.Create = create
			e.browser().post("/sign-in/", "email", "gone@acme.example")
			all := e.codes()
			require.Nil(e, all[len(all)-1], create)
		}
	})
}

// A person who signs in twice at once gets one user.
func TestSignInAtOnceMakesOneUser(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.invite("twice@university.example", apollo)
		var browsers []*browser
		var codes []string
		for range 4 {
			b := e.browser()
			b.post("/sign-in/", "email", "twice@university.example")
			browsers, codes = append(browsers, b), append(codes, e.lastCode())
		}
		var group sync.WaitGroup
		for i, b := range browsers {
			group.Go(func() { b.post("/sign-in/code/", "code", codes[i]) })
		}
		group.Wait()
		for _, b := range browsers {
			require.True(e, b.isSignedIn())
		}
		require.NotEmpty(e, e.user("twice@university.example"))
		var users []directory.User
		require.NoError(e, e.db.FileStore().Read(e.Context(), func(tx directory.FileTx) (err error) {
			users, err = tx.FindUsers(nil, []string{"twice@university.example-2"})
			return err
		}))
		require.Empty(e, users)
	})
}

// Requests for codes at once do not pass the limit of an address.
func TestCodesAreLimitedAtOnce(t *testing.T) {
	onEachEngine(t, func(e *env) {
		var group sync.WaitGroup
		var sent atomic.Int32
		for range 25 {
			b := e.browser()
			group.Go(func() {
				if b.post("/sign-in/", "email", "ina@university.example").status == http.StatusSeeOther {
					sent.Add(1)
				}
			})
		}
		group.Wait()
		require.EqualValues(e, 5, sent.Load())
		require.Len(e, e.codes(), 5)
	})
}

// A session that ended with its user's deactivation does not come back with the user, nor does the session that another one
// replaced in its browser.
func TestEndedSessionsStayEnded(t *testing.T) {
	onEachEngine(t, func(e *env) {
		b := e.browser()
		b.signIn("ina@university.example")
		e.apply("users: [{username: ina, is_active: false}]")
		e.apply("users: [{username: ina, email: Ina@University.example, is_active: true}]")
		require.False(e, b.isSignedIn())

		b.signIn("ina@university.example")
		kept := e.browser()
		kept.client.Jar.SetCookies(mustParse(e, e.server.URL), b.client.Jar.Cookies(mustParse(e, e.server.URL)))
		require.True(e, kept.isSignedIn())
		b.signIn("olivia@acme.example")
		require.False(e, kept.isSignedIn())
	})
}
