package main

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
)

// serveNewer starts a proxy that responds as a later version of the server could: with a field more in each JSON object of a
// successful response.
func serveNewer(upstream string) (*httptest.Server, error) {
	target, err := url.Parse(upstream)
	if err != nil {
		return nil, err
	}
	return httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Del("Accept-Encoding") // the response must be readable
		},
		ModifyResponse: func(r *http.Response) error {
			kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
			if err != nil || kind != "application/json" || r.StatusCode >= 300 || r.Request.Method == http.MethodHead {
				return nil //nolint:nilerr // a response without a media type stays as it is
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return err
			}
			if body, err = addField(body); err != nil {
				return err
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			r.ContentLength = int64(len(body))
			r.Header.Set("Content-Length", strconv.Itoa(len(body)))
			return nil
		},
	}), nil
}

// addField returns a JSON document with a field more in each of its objects.
func addField(document []byte) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	add(value)
	return json.Marshal(value)
}

func add(value any) {
	switch value := value.(type) {
	case map[string]any:
		for _, each := range value {
			add(each)
		}
		value["field_of_a_later_version"] = map[string]any{"uuid": "0f5a9f2e-7a55-4c7e-9f0a-6b3a6a0c6a11"}
	case []any:
		for _, each := range value {
			add(each)
		}
	}
}
