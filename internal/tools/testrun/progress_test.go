package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

const events = `{"Action":"start","Package":"invited/a"}
{"Action":"run","Package":"invited/a","Test":"TestGood"}
{"Action":"output","Package":"invited/a","Test":"TestGood","Output":"=== RUN   TestGood\n"}
{"Action":"output","Package":"invited/a","Test":"TestGood","Output":"a log line\n"}
{"Action":"output","Package":"invited/a","Test":"TestGood","Output":"--- PASS: TestGood (0.00s)\n"}
{"Action":"pass","Package":"invited/a","Test":"TestGood"}
{"Action":"output","Package":"invited/a","Output":"PASS\n"}
{"Action":"output","Package":"invited/a","Output":"ok  \tinvited/a\t0.1s\n"}
{"Action":"pass","Package":"invited/a"}
{"Action":"output","Package":"invited/none","Output":"?   \tinvited/none\t[no test files]\n"}
{"Action":"skip","Package":"invited/none"}
{"ImportPath":"invited/c","Action":"build-output","Output":"c.go:3: undefined: x\n"}
{"ImportPath":"invited/c","Action":"build-fail"}
{"Action":"start","Package":"invited/c"}
{"Action":"output","Package":"invited/c","Output":"FAIL\tinvited/c [build failed]\n"}
{"Action":"fail","Package":"invited/c"}
{"Action":"start","Package":"invited/b"}
{"Action":"output","Package":"invited/b","Test":"TestBad","Output":"=== RUN   TestBad\n"}
{"Action":"output","Package":"invited/b","Test":"TestBad","Output":"    b_test.go:1: wrong\n"}
{"Action":"output","Package":"invited/b","Test":"TestBad","Output":"--- FAIL: TestBad (0.00s)\n"}
{"Action":"fail","Package":"invited/b","Test":"TestBad"}
{"Action":"output","Package":"invited/b","Test":"TestPanics","Output":"panic: here\n"}
{"Action":"output","Package":"invited/b","Output":"FAIL\tinvited/b\t0.2s\n"}
{"Action":"fail","Package":"invited/b"}
go: a line of plain text`

func TestOutput(t *testing.T) {
	t.Parallel()

	var out strings.Builder
	begun := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	p := newProgress(&out, false, begun)
	for line := range strings.Lines(events) {
		p.line([]byte(strings.TrimSuffix(line, "\n")), begun)
	}
	p.summary(begun.Add(3 * time.Second))
	assert.Equal(t, `ok  	invited/a	0.1s
c.go:3: undefined: x
FAIL	invited/c [build failed]
    b_test.go:1: wrong
--- FAIL: TestBad (0.00s)
panic: here
FAIL	invited/b	0.2s
go: a line of plain text
1 passed, 1 failed, 0 skipped in 3 s
`, out.String())
}

func TestVerboseOutputIsComplete(t *testing.T) {
	t.Parallel()

	var out strings.Builder
	p := newProgress(&out, true, time.Time{})
	for line := range strings.Lines(events) {
		p.line([]byte(strings.TrimSuffix(line, "\n")), time.Time{})
	}
	assert.Contains(t, out.String(), "=== RUN   TestGood\na log line\n--- PASS: TestGood (0.00s)\nPASS\nok  \tinvited/a\t0.1s\n")
	assert.Equal(t, 1, strings.Count(out.String(), "FAIL\tinvited/b\t0.2s\n"))
}

func TestHeartbeat(t *testing.T) {
	t.Parallel()

	var out strings.Builder
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	p := newProgress(&out, false, now)
	beat := func(d time.Duration) string {
		out.Reset()
		now = now.Add(d)
		p.heartbeat(now)
		return out.String()
	}
	assert.Empty(t, beat(quietTime-time.Second))
	assert.Equal(t, "still building, 20 s\n", beat(time.Second))
	p.line([]byte(`{"Action":"start","Package":"invited/internal/systemtest"}`), now)
	assert.Empty(t, beat(time.Second))
	p.line([]byte(`{"Action":"start","Package":"invited/internal/api"}`), now)
	assert.Equal(t, "still running: internal/api, 39 s; internal/systemtest, 40 s\n", beat(39*time.Second))
}
