package app

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/config"
)

// A configuration that is half done is warned about, one line each with its variable, and a whole one is not.
func TestStartWarnings(t *testing.T) {
	t.Parallel()
	const secret = "INVITED_SECRET_KEY=0123456789abcdef0123456789abcdef"
	whole := []string{
		secret, "INVITED_DATABASE_URL=postgres://db/x", "INVITED_SMTP_URL=smtp://mail:25", "INVITED_MAIL_FROM=a@x.example",
		"INVITED_PUBLIC_URL=https://x.example/",
	}
	for _, each := range []struct {
		environ []string
		want    []string // the first word of each line
	}{
		{nil, nil},
		{whole, nil},
		{[]string{"INVITED_DATABASE_URL=postgres://db/x", secret}, []string{"INVITED_SMTP_URL"}},
		{[]string{"INVITED_PAGES=false"}, []string{"INVITED_FRONTEND_URL"}},
		{[]string{"INVITED_PAGES=false", "INVITED_FRONTEND_URL=https://portal.example/"}, nil},
		{append(whole, "INVITED_MAIL_FROM=a@localhost"), []string{"INVITED_MAIL_FROM"}},
		{append(whole, "INVITED_PUBLIC_URL=http://x.example/"), []string{"INVITED_PUBLIC_URL"}},
		{append(whole, "INVITED_FRONTEND_URL=http://127.0.0.1:8080/"), []string{"INVITED_FRONTEND_URL"}},
		{[]string{"INVITED_CORS_HEADERS=traceparent"}, []string{"INVITED_CORS_HEADERS"}},
	} {
		c, err := config.Load(each.environ)
		require.NoError(t, err)
		var got []string
		for _, line := range startWarnings(c) {
			require.NotContains(t, line, "\n")
			word, _, _ := strings.Cut(line, " ")
			got = append(got, word)
		}
		require.Equal(t, each.want, got, "%v", each.environ)
	}
}
