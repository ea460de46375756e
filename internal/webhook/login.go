package webhook

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// login fetches access tokens and keeps one until it expires or is refused.
type login struct {
	config *clientcredentials.Config
	client *http.Client

	// kept holds the token, nil where there is none. Who takes it out may change it and puts it back, so that nobody
	// else fetches one at the same time. A mutex would do the same, but its wait doesn't end with a context.
	kept chan *oauth2.Token
}

// newLogin returns nil where nothing is set.
func newLogin(c Config, transport http.RoundTripper) (*login, error) {
	var missing []string
	for _, setting := range []struct{ name, value string }{
		{SettingTokenURL, c.TokenURL},
		{SettingClientID, c.ClientID},
		{SettingClientSecret, c.ClientSecret},
	} {
		if setting.value == "" {
			missing = append(missing, setting.name)
		}
	}
	switch len(missing) {
	case 0:
	case 3:
		return nil, nil
	default:
		return nil, errors.New(strings.Join(missing, " and ") +
			" must be set as well, or none of " + SettingTokenURL + ", " + SettingClientID + " and " + SettingClientSecret)
	}
	if err := checkURL(SettingTokenURL, c.TokenURL); err != nil {
		return nil, err
	}
	l := &login{
		config: &clientcredentials.Config{TokenURL: c.TokenURL, ClientID: c.ClientID, ClientSecret: c.ClientSecret},
		client: &http.Client{Transport: wholeAnswers{transport}},
		kept:   make(chan *oauth2.Token, 1),
	}
	l.kept <- nil
	return l, nil
}

var errNoToken = errors.New("there is no usable token in the answer")

// token returns one that is not refused, which is nil or what token returned before. Its error is that of ctx, of
// package oauth2, or errNoToken.
func (l *login) token(ctx context.Context, refused *oauth2.Token) (token *oauth2.Token, err error) {
	select {
	case token = <-l.kept:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { l.kept <- token }()
	// Where many were refused at once, the first fetches and the others find another than theirs.
	if token.Valid() && token != refused {
		return token, nil
	}
	token, err = l.config.Token(context.WithValue(ctx, oauth2.HTTPClient, l.client))
	if err != nil {
		return nil, err
	}
	// Of what can't stand in a header (RFC 6749, appendix A.12), net/http would say only that the request is no good.
	if strings.ContainsFunc(token.AccessToken, func(r rune) bool { return r < ' ' || r > '~' }) {
		return nil, errNoToken
	}
	return token, nil
}

// wholeAnswers returns answers whose bodies are read already, as far as they are within bounds. Package oauth2 makes
// mere text of an error that it meets in a body, and a connection that broke off would look like nonsense.
type wholeAnswers struct{ http.RoundTripper }

func (t wholeAnswers) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := t.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	// Without it http.Client follows nothing. CheckRedirect is asked too late: after the target was parsed, and with
	// an error that quotes it.
	answer.Header.Del("Location")
	return answer, nil
}
