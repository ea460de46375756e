package jobs

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/delivery"
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
			_ = c.do(reached)
			require.Empty(t, c.trouble(), name)
		})
	}
}
