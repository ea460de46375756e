// Package check tests the configurations whose gateways the tests can't run: against what the gateways publish about their
// configuration, and against the contract. It is a module of its own, so that the server does not depend on what this takes.
package check

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"
	bootstrap "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/itchyny/gojq"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"sigs.k8s.io/yaml"
)

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", path))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

const contractPath = "../../openapi.yaml"

func contract(t *testing.T) *openapi3.T {
	t.Helper()
	c, err := openapi3.NewLoader().LoadFromData(read(t, contractPath))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// needsNoToken reports whether an operation needs no token.
func needsNoToken(o *openapi3.Operation) bool { return o.Security != nil && len(*o.Security) == 0 }

// readsWithoutToken reports whether an operation reads the database with or without a token.
func readsWithoutToken(o *openapi3.Operation) bool {
	return o.Security != nil && slices.ContainsFunc(*o.Security, func(r openapi3.SecurityRequirement) bool { return len(r) == 0 })
}

// needsLimit reports whether a request without a token needs a limit at the gateway.
func needsLimit(method string, o *openapi3.Operation) bool {
	return method == http.MethodPost && needsNoToken(o) || readsWithoutToken(o)
}

// examplePath returns the path of a request for a path of the contract.
func examplePath(path string) string {
	return strings.NewReplacer("{uuid}", "0f5a9f2e-7a55-4c7e-9f0a-6b3a6a0c6a11", "{provider}", "campus").Replace(path)
}

// The file is a bootstrap configuration that Envoy's definitions and their validation rules accept. Its routes rewrite, limit and
// retry each operation as intended.
func TestEnvoy(t *testing.T) {
	asJSON, err := yaml.YAMLToJSONStrict(read(t, "envoy/envoy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var b bootstrap.Bootstrap
	if err := protojson.Unmarshal(asJSON, &b); err != nil {
		t.Fatal(err)
	}
	validate(t, &b)

	var manager hcm.HttpConnectionManager
	if err := b.GetStaticResources().GetListeners()[0].GetFilterChains()[0].GetFilters()[0].GetTypedConfig().UnmarshalTo(&manager); err != nil {
		t.Fatal(err)
	}
	routes := manager.GetRouteConfig().GetVirtualHosts()[0].GetRoutes()
	for path, item := range contract(t).Paths.Map() {
		for method, operation := range item.Operations() {
			for _, token := range []bool{false, true} {
				r := findRoute(t, routes, method, "/invitations"+examplePath(path), token)
				if got := r.GetTypedPerFilterConfig()["limits"] != nil; got != (needsLimit(method, operation) && !(token && readsWithoutToken(operation))) {
					t.Errorf("%s %s, token %v: limited is %v", method, path, token, got)
				}
				repeated := strings.Contains(r.GetRoute().GetRetryPolicy().GetRetryOn(), "reset")
				if repeated != (method == http.MethodGet) && method != http.MethodHead { // HEAD may be repeated, and need not be
					t.Errorf("%s %s: retried after it was sent is %v", method, path, repeated)
				}
				if got := rewrittenPath(r, "/invitations"+examplePath(path)); got != examplePath(path) {
					t.Errorf("%s %s: reaches the server as %s", method, path, got)
				}
			}
		}
	}
	for _, path := range []string{"/invitations/readyz", "/invitations/healthz"} {
		if r := findRoute(t, routes, "GET", path, false); r.GetDirectResponse().GetStatus() != http.StatusNotFound {
			t.Errorf("%s is not hidden", path)
		}
	}
}

// validate checks every message against the rules of its definition, nested messages too.
func validate(t *testing.T, m proto.Message) {
	t.Helper()
	if v, ok := m.(interface{ ValidateAll() error }); ok {
		if err := v.ValidateAll(); err != nil {
			t.Error(err)
		}
	}
	err := protorange.Range(m.ProtoReflect(), func(p protopath.Values) error {
		if message, ok := p.Index(-1).Value.Interface().(protoreflect.Message); ok {
			if inside, ok := message.Interface().(*anypb.Any); ok {
				inner, err := inside.UnmarshalNew()
				if err != nil {
					return err
				}
				validate(t, inner)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// findRoute returns the route that Envoy takes for a request with or without a token: the first that matches. A regular
// expression has to match the whole value.
func findRoute(t *testing.T, routes []*routev3.Route, method, path string, token bool) *routev3.Route {
	t.Helper()
	for _, r := range routes {
		m := r.GetMatch()
		if slices.ContainsFunc(m.GetHeaders(), func(want *routev3.HeaderMatcher) bool {
			switch want.GetName() {
			case ":method":
				return want.GetStringMatch().GetExact() != method &&
					!slices.Contains(strings.Split(want.GetStringMatch().GetSafeRegex().GetRegex(), "|"), method)
			case "authorization":
				return want.GetPresentMatch() != token
			}
			t.Fatalf("%s matches the header %s", r.GetName(), want.GetName())
			return true
		}) {
			continue
		}
		if expression := m.GetSafeRegex().GetRegex(); expression != "" {
			if regexp.MustCompile("^(?:" + expression + ")$").MatchString(path) {
				return r
			}
		} else if strings.HasPrefix(path, m.GetPrefix()) {
			return r
		}
	}
	t.Fatalf("%s %s has no route", method, path)
	return nil
}

// rewrittenPath returns the path that reaches the server.
func rewrittenPath(r *routev3.Route, path string) string {
	if rule := r.GetRoute().GetRegexRewrite(); rule != nil {
		return regexp.MustCompile(rule.GetPattern().GetRegex()).ReplaceAllString(path, rule.GetSubstitution())
	}
	return r.GetRoute().GetPrefixRewrite() + strings.TrimPrefix(path, r.GetMatch().GetPrefix())
}

// The program's output is an OpenAPI document in which each operation has an integration with values that API Gateway's API
// accepts. The document has nothing that HTTP APIs can't import.
func TestAWS(t *testing.T) {
	content := runJQ(t, "aws/integrations.jq", "$to", "https://internal.example")
	after, err := openapi3.NewLoader().LoadFromData(content)
	if err != nil {
		t.Fatal(err)
	}
	if err := after.Validate(context.Background(), openapi3.EnableExamplesValidation()); err != nil {
		t.Error(err)
	}
	if !strings.HasPrefix(after.OpenAPI, "3.0.") {
		t.Errorf("OpenAPI %s is not imported", after.OpenAPI)
	}
	if len(after.Components.SecuritySchemes) > 0 || len(after.Security) > 0 {
		t.Error("a security scheme is left")
	}
	segment := regexp.MustCompile(`^(?:[A-Za-z0-9._:,-]*|\{[A-Za-z0-9._-]+\})$`)
	for path, item := range after.Paths.Map() {
		for _, each := range strings.Split(path, "/") {
			if !segment.MatchString(each) {
				t.Errorf("%s: a segment is neither text nor one parameter", path)
			}
		}
		for method, operation := range item.Operations() {
			if operation.Security != nil {
				t.Errorf("%s %s: a security requirement is left", method, path)
			}
			raw, err := json.Marshal(operation.Extensions["x-amazon-apigateway-integration"])
			if err != nil {
				t.Fatal(err)
			}
			var integration struct {
				Type, HTTPMethod, URI, ConnectionType, PayloadFormatVersion string
				TimeoutInMillis                                             int
				RequestParameters                                           map[string]string
			}
			decoder := json.NewDecoder(strings.NewReader(string(raw)))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(&integration); err != nil {
				t.Fatal(err)
			}
			if integration.HTTPMethod != method || integration.URI != "https://internal.example"+path || integration.PayloadFormatVersion != "1.0" {
				t.Errorf("%s %s goes to %+v", method, path, integration)
			}
			if !slices.Contains(types.IntegrationType("").Values(), types.IntegrationType(strings.ToUpper(integration.Type))) {
				t.Errorf("%q is no type of integration", integration.Type)
			}
			if !slices.Contains(types.ConnectionType("").Values(), types.ConnectionType(integration.ConnectionType)) {
				t.Errorf("%q is no type of connection", integration.ConnectionType)
			}
			if integration.TimeoutInMillis < 50 || integration.TimeoutInMillis > 30000 {
				t.Errorf("%d ms is no timeout", integration.TimeoutInMillis)
			}
		}
	}
	for path, item := range contract(t).Paths.Map() {
		if len(after.Paths.Value(path).Operations()) != len(item.Operations()) {
			t.Errorf("%s lost an operation", path)
		}
	}
}

// runJQ runs a jq program on the contract, and returns its output.
func runJQ(t *testing.T, path, variable string, value any) []byte {
	t.Helper()
	query, err := gojq.Parse(string(read(t, path)))
	if err != nil {
		t.Fatal(err)
	}
	program, err := gojq.Compile(query, gojq.WithVariables([]string{variable}))
	if err != nil {
		t.Fatal(err)
	}
	var before any
	if err := yaml.Unmarshal(read(t, contractPath), &before); err != nil {
		t.Fatal(err)
	}
	after, _ := program.Run(before, value).Next()
	if err, ok := after.(error); ok {
		t.Fatal(err)
	}
	content, err := json.Marshal(after)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// KrakenD passes on only the headers and parameters that an endpoint names, and drops others silently. Its JSON schema is not
// available as a package; the assertions about form repeat what the schema says about these keys.
func TestKrakenD(t *testing.T) {
	type backend struct {
		Host       []string
		URLPattern string `json:"url_pattern"`
		Method     string
		Encoding   string
	}
	type endpoint struct {
		Endpoint          string
		Method            string
		OutputEncoding    string   `json:"output_encoding"`
		InputHeaders      []string `json:"input_headers"`
		InputQueryStrings []string `json:"input_query_strings"`
		Backend           []backend
		ExtraConfig       map[string]struct {
			ClientMaxRate  float64 `json:"client_max_rate"`
			ClientCapacity int     `json:"client_capacity"`
			Strategy       string
		} `json:"extra_config"`
	}
	var file struct {
		Schema        string `json:"$schema"`
		Version, Port int
		Name, Timeout string
		ExtraConfig   struct {
			Router map[string]bool
		} `json:"extra_config"`
		Endpoints []endpoint
	}
	decoder := json.NewDecoder(strings.NewReader(string(runJQ(t, "krakend/krakend.jq", "$hosts", []any{"http://127.0.0.1:8081", "http://127.0.0.1:8082"}))))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&file); err != nil {
		t.Fatal(err)
	}
	if file.Version != 3 || file.Timeout != "30s" {
		t.Errorf("version %d, timeout %q", file.Version, file.Timeout)
	}
	if trusts, ok := file.ExtraConfig.Router["forwarded_by_client_ip"]; !ok || trusts {
		t.Error("KrakenD trusts the client address that a client sends")
	}
	found := map[string]endpoint{}
	for _, each := range file.Endpoints {
		found[each.Method+" "+each.Endpoint] = each
	}
	want := 0
	for path, item := range contract(t).Paths.Map() {
		for method, operation := range item.Operations() {
			if method == http.MethodHead {
				continue // KrakenD has no endpoints for HEAD
			}
			want++
			name := method + " /invitations" + path
			e, ok := found[name]
			if !ok || len(e.Backend) != 1 {
				t.Errorf("%s has no endpoint with one backend", name)
				continue
			}
			to := e.Backend[0]
			if to.URLPattern != path || to.Method != method || len(to.Host) != 2 || to.Encoding != "no-op" || e.OutputEncoding != "no-op" {
				t.Errorf("%s goes to %+v", name, to)
			}
			headers := []string{"Accept", "X-Request-ID"}
			if !needsNoToken(operation) {
				headers = append(headers, "Authorization")
			}
			if operation.RequestBody != nil {
				headers = append(headers, "Content-Type")
			}
			var query []string
			for _, p := range append(slices.Clone(item.Parameters), operation.Parameters...) {
				switch p.Value.In {
				case openapi3.ParameterInQuery:
					query = append(query, p.Value.Name)
				case openapi3.ParameterInHeader:
					headers = append(headers, p.Value.Name)
				}
			}
			for what, sets := range map[string][2][]string{"headers": {headers, e.InputHeaders}, "query": {query, e.InputQueryStrings}} {
				slices.Sort(sets[0])
				slices.Sort(sets[1])
				if !slices.Equal(sets[0], sets[1]) {
					t.Errorf("%s: %s %v, want %v", name, what, sets[1], sets[0])
				}
			}
			limit, limited := e.ExtraConfig["qos/ratelimit/router"]
			if limited != needsLimit(method, operation) || limited && (limit.ClientMaxRate <= 0 || limit.Strategy != "ip") {
				t.Errorf("%s: limited is %v %+v", name, limited, limit)
			}
		}
	}
	if want != len(file.Endpoints) {
		t.Errorf("%d endpoints, want %d", len(file.Endpoints), want)
	}
}
