package jobs

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/delivery"
	"invited/internal/mail"
)

// A server that can't be reached or resolved is a trouble after a minute, and none as soon as it is reached.
func TestOutageIsATrouble(t *testing.T) {
	t.Parallel()
	fail := func(cause error) func() error {
		return func() error { return &delivery.Failure{Reason: "The mail server can't be reached.", Err: cause} }
	}
	dial := fail(&net.OpError{Op: "dial", Err: errors.New("connection refused")})
	for name, unreached := range map[string]func() error{
		"reach": dial, "resolve": fail(&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host"}}), "name": fail(&net.DNSError{Err: "x"}),
	} {
		synctest.Test(t, func(t *testing.T) {
			var c circuit
			require.Error(t, c.do(unreached), name)
			require.Empty(t, c.trouble(), name)
			<-time.After(time.Minute) // the clock of the bubble
			require.Empty(t, c.trouble(), "one attempt is no outage")
			require.Error(t, c.do(unreached), name)
			require.Equal(t, "The mail server can't be reached.", c.trouble(), name)
			require.Error(t, c.do(dial))
			require.NotEmpty(t, c.trouble())
			<-time.After(staleAfter + time.Second)
			require.Empty(t, c.trouble(), "nobody has tried for long")
		})
	}
	for name, reached := range map[string]func() error{
		"sent": func() error { return nil }, "refused": fail(&net.OpError{Op: "read", Err: errors.New("reset")}),
	} {
		synctest.Test(t, func(t *testing.T) {
			var c circuit
			_ = c.do(dial)
			<-time.After(time.Hour / 2)
			_ = c.do(dial)
			require.NotEmpty(t, c.trouble(), name)
			_ = c.do(reached)
			require.Empty(t, c.trouble(), name)
		})
	}
}

// The errors of a mail server that refuses connections, and of a name that can't be resolved, are an outage.
func TestErrorsOfTheMailServerAreAnOutage(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	refusing := listener.Addr().String()
	require.NoError(t, listener.Close())
	for _, address := range []string{refusing, "localhost.invalid:25"} {
		transport, err := mail.NewSMTP("smtp+insecure://"+address+"", "invitations@mail.example")
		require.NoError(t, err)
		t.Cleanup(transport.Close)
		w := &Workers{clock: &clock{}, sender: &sender{mailRoute: route{pace: newPace(0)}}}
		fail := func() {
			message := mail.Message{To: "ina@university.example", Subject: "x", Text: "x", HTML: "x", ID: "x@mail.example", Date: time.Now()}
			require.Error(t, w.sender.mailRoute.do(func() error { return transport.Send(t.Context(), message) }))
		}
		fail()
		fail()
		require.Empty(t, w.Troubles()["mail"], "two attempts of one moment")
		w.sender.mailRoute.outage.since = time.Now().Add(-outageTolerance)
		fail()
		require.Contains(t, w.Troubles()["mail"], "mail server", address)
	}
}
