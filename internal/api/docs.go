package api

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/labstack/echo/v4"
	"github.com/swaggest/swgui/v5/static"
	"github.com/vearutop/statigz"
	"go.yaml.in/yaml/v3"
)

// frame is the page around the reference, and ours to change; the reference itself is Swagger UI, from its own module.
//
//go:embed docs
var frame embed.FS

// docsPolicy lets the reference load what this server has, and call it. Swagger UI draws its icons from data URLs.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// document serves the contract, with this server as the one to call, and a page to read it and try it out. The page is
// whole without any other server.
func document(e *echo.Echo, contract *openapi3.T, publicURL string) error {
	// Encoding takes as long as parsing: it waits for the first client that asks.
	encoded := sync.OnceValues(func() (map[string][]byte, error) {
		asJSON, asYAML, err := written(contract, publicURL)
		return map[string][]byte{"application/json": asJSON, "application/yaml": asYAML}, err
	})
	form := func(kind string) echo.HandlerFunc {
		return func(c echo.Context) error {
			forms, err := encoded()
			if err != nil {
				return err
			}
			return c.Blob(http.StatusOK, kind, forms[kind])
		}
	}
	own, err := fs.Sub(frame, "docs")
	if err != nil {
		return err
	}
	index, err := fs.ReadFile(own, "index.html")
	if err != nil {
		return err
	}
	reading := []string{http.MethodGet, http.MethodHead}
	e.Match(reading, "/openapi.json", form("application/json"))
	e.Match(reading, "/openapi.yaml", form("application/yaml"))
	e.Match(reading, "/docs", blob("text/html; charset=utf-8", index), documented)
	// Relative to what was asked for, which may have a gateway's prefix.
	e.Match(reading, "/docs/", func(c echo.Context) error { return c.Redirect(http.StatusPermanentRedirect, "../docs") })
	files := http.StripPrefix("/docs/", statigz.FileServer(static.FS))
	around := http.StripPrefix("/docs/", http.FileServerFS(own))
	for _, name := range []string{"page.js", "page.css"} {
		e.Match(reading, "/docs/"+name, echo.WrapHandler(around), documented)
	}
	for _, name := range []string{"swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"} {
		e.Match(reading, "/docs/"+name, echo.WrapHandler(files), documented)
	}
	return nil
}

// written is the contract in both of its forms.
func written(contract *openapi3.T, publicURL string) (asJSON, asYAML []byte, err error) {
	here := *contract
	here.Servers = openapi3.Servers{{URL: publicURL[:len(publicURL)-1], Description: "This server"}}
	if asJSON, err = json.Marshal(&here); err != nil {
		return nil, nil, fmt.Errorf("writing the contract: %w", err)
	}
	tree, err := here.MarshalYAML()
	if err != nil {
		return nil, nil, fmt.Errorf("writing the contract: %w", err)
	}
	if asYAML, err = yaml.Marshal(tree); err != nil {
		return nil, nil, fmt.Errorf("writing the contract: %w", err)
	}
	return asJSON, asYAML, nil
}

func blob(kind string, content []byte) echo.HandlerFunc {
	return func(c echo.Context) error { return c.Blob(http.StatusOK, kind, content) }
}

// documented loosens what stands on every response as far as the reference needs it: it is made of scripts, and the
// same for everybody.
func documented(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Content-Security-Policy", docsPolicy)
		h.Set("Cache-Control", "public, max-age=3600")
		return next(c)
	}
}
