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

// docsFiles has the page that loads Swagger UI. Swagger UI's own files come from its module.
//
//go:embed docs
var docsFiles embed.FS

// docsPolicy lets the page load files of this server and call its API. Swagger UI draws its icons from data URLs.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// addDocs serves the contract, with this server as the only one in `servers`, and a page to read it and try it out. The
// page loads nothing from any other server.
func addDocs(e *echo.Echo, contract *openapi3.T, publicURL string) error {
	// Encoding takes 25 ms, and waits for the first client that asks.
	encoded := sync.OnceValues(func() (map[string][]byte, error) {
		asJSON, asYAML, err := encodeContract(contract, publicURL)
		return map[string][]byte{"application/json": asJSON, "application/yaml": asYAML}, err
	})
	contractAs := func(contentType string) echo.HandlerFunc {
		return func(c echo.Context) error {
			forms, err := encoded()
			if err != nil {
				return err
			}
			return c.Blob(http.StatusOK, contentType, forms[contentType])
		}
	}
	page, err := fs.Sub(docsFiles, "docs")
	if err != nil {
		return err
	}
	index, err := fs.ReadFile(page, "index.html")
	if err != nil {
		return err
	}
	readMethods := []string{http.MethodGet, http.MethodHead}
	e.Match(readMethods, "/openapi.json", contractAs("application/json"))
	e.Match(readMethods, "/openapi.yaml", contractAs("application/yaml"))
	e.Match(readMethods, "/docs", content("text/html; charset=utf-8", index), docsHeaders)
	// The redirect is relative: a gateway may add a prefix to the path.
	e.Match(readMethods, "/docs/", func(c echo.Context) error { return c.Redirect(http.StatusPermanentRedirect, "../docs") })
	swaggerUI := http.StripPrefix("/docs/", statigz.FileServer(static.FS))
	pageFiles := http.StripPrefix("/docs/", http.FileServerFS(page))
	for _, name := range []string{"page.js", "page.css"} {
		e.Match(readMethods, "/docs/"+name, echo.WrapHandler(pageFiles), docsHeaders)
	}
	for _, name := range []string{"swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"} {
		e.Match(readMethods, "/docs/"+name, echo.WrapHandler(swaggerUI), docsHeaders)
	}
	return nil
}

// encodeContract returns the contract as JSON and as YAML.
func encodeContract(contract *openapi3.T, publicURL string) (asJSON, asYAML []byte, err error) {
	served := *contract
	served.Servers = openapi3.Servers{{URL: publicURL[:len(publicURL)-1], Description: "This server"}}
	if asJSON, err = json.Marshal(&served); err != nil {
		return nil, nil, fmt.Errorf("encoding the contract: %w", err)
	}
	tree, err := served.MarshalYAML()
	if err != nil {
		return nil, nil, fmt.Errorf("encoding the contract: %w", err)
	}
	if asYAML, err = yaml.Marshal(tree); err != nil {
		return nil, nil, fmt.Errorf("encoding the contract: %w", err)
	}
	return asJSON, asYAML, nil
}

func content(mediaType string, body []byte) echo.HandlerFunc {
	return func(c echo.Context) error { return c.Blob(http.StatusOK, mediaType, body) }
}

// docsHeaders relaxes the security headers as far as the page needs: it runs scripts, and may be cached because it is
// the same for everybody.
func docsHeaders(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Content-Security-Policy", docsPolicy)
		h.Set("Cache-Control", "public, max-age=3600")
		return next(c)
	}
}
