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

// tokenSource fetches access tokens, and caches one until it expires or the endpoint refuses it.
type tokenSource struct {
	config *clientcredentials.Config
	client *http.Client

	// cache holds one token, nil before the first. A Send takes the token out, may replace it, and puts it back: only one
	// Send fetches at a time. A mutex would do the same, but waiting for a mutex doesn't end with a context.
	cache chan *oauth2.Token
}

// newTokenSource returns nil when the three settings are empty.
func newTokenSource(c Config, transport http.RoundTripper) (*tokenSource, error) {
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
	s := &tokenSource{
		config: &clientcredentials.Config{TokenURL: c.TokenURL, ClientID: c.ClientID, ClientSecret: c.ClientSecret},
		client: &http.Client{Transport: bufferingTransport{transport}},
		cache:  make(chan *oauth2.Token, 1),
	}
	s.cache <- nil
	return s, nil
}

var errNoToken = errors.New("the response holds no usable token")

// token returns a valid token other than refused, which is nil or a token that the endpoint refused. The error is that of
// ctx, one of package oauth2, or errNoToken.
func (s *tokenSource) token(ctx context.Context, refused *oauth2.Token) (token *oauth2.Token, err error) {
	select {
	case token = <-s.cache:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { s.cache <- token }()
	// When the endpoint refuses many requests at once, the first Send fetches a token and the others find it here.
	if token.Valid() && token != refused {
		return token, nil
	}
	token, err = s.config.Token(context.WithValue(ctx, oauth2.HTTPClient, s.client))
	if err != nil {
		return nil, err
	}
	// A token may hold printable ASCII only (RFC 6749, appendix A.12). For any other, net/http would fail on the request's
	// header and not say that the token is wrong.
	if strings.ContainsFunc(token.AccessToken, func(r rune) bool { return r < ' ' || r > '~' }) {
		return nil, errNoToken
	}
	return token, nil
}

// bufferingTransport reads each response's body, up to maxResponse, before it returns the response. Package oauth2 turns
// an error that it meets in a body into text, and a connection that broke off would look like a wrong response.
type bufferingTransport struct{ http.RoundTripper }

func (t bufferingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxResponse))
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	// Without Location, http.Client follows no redirect. CheckRedirect comes too late: it is called after the target was
	// parsed, and a parse error quotes the target.
	response.Header.Del("Location")
	return response, nil
}
