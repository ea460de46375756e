package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"invited/internal/idempotency"
)

// Some generators of clients do not read YAML's anchors.
func TestContractHasNoAnchors(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../openapi.yaml")
	require.NoError(t, err)
	var document yaml.Node
	require.NoError(t, yaml.Unmarshal(text, &document))
	var walk func(*yaml.Node)
	walk = func(node *yaml.Node) {
		require.Empty(t, node.Anchor, "line %d", node.Line)
		require.NotEqual(t, yaml.AliasNode, node.Kind, "line %d", node.Line)
		for _, child := range node.Content {
			walk(child)
		}
	}
	walk(&document)
}

// Most generators of statically typed clients can't express a choice of schemas.
func TestContractHasNoChoices(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../openapi.yaml")
	require.NoError(t, err)
	for _, keyword := range []string{"oneOf:", "anyOf:", "discriminator:"} {
		require.NotContains(t, string(text), keyword)
	}
}

// Generators name the values of an enumeration by x-enum-varnames or by x-enumNames. Some put the names of all enumerations into
// one package.
func TestContractNamesEnumerations(t *testing.T) {
	t.Parallel()
	usedBy := map[any]string{}
	for name, schema := range loadContract(t).Components.Schemas {
		if len(schema.Value.Enum) == 0 || schema.Ref != "" || name == "InvitationStateEnum" {
			continue
		}
		names, ok := schema.Value.Extensions["x-enum-varnames"].([]any)
		require.True(t, ok, name)
		require.Equal(t, names, schema.Value.Extensions["x-enumNames"], name)
		require.Len(t, names, len(schema.Value.Enum), name)
		for _, each := range names {
			require.Empty(t, usedBy[each], "%s is a value of %s too", each, name)
			usedBy[each] = name
		}
	}
	require.NotEmpty(t, usedBy)
}

// A client that has to wait reads how long, and a client that reserves room for a page reads the largest one.
func TestContractSaysHowLongAndHowMany(t *testing.T) {
	t.Parallel()
	for path, item := range loadContract(t).Paths.Map() {
		for method, operation := range item.Operations() {
			where := method + " " + path
			for _, status := range []string{"429", "503"} {
				require.Contains(t, operation.Responses.Value(status).Value.Headers, "Retry-After", "%s %s", where, status)
			}
			if operation.Parameters.GetByInAndName("query", "page") != nil {
				rows := operation.Responses.Value("200").Value.Content.Get("application/json").Schema.Value
				if results := rows.Properties["results"]; results != nil {
					rows = results.Value
				}
				require.NotNil(t, rows.MaxItems, where)
				require.EqualValues(t, 300, *rows.MaxItems, where)
			}
		}
	}
}

// Schemas whose properties are the same, and that differ in what is required.
func TestContractRepeatsProperties(t *testing.T) {
	t.Parallel()
	schemas := loadContract(t).Components.Schemas
	for same, as := range map[string]string{
		"InvitationListItem":             "Invitation",
		"CustomerListItem":               "Customer",
		"ProjectListItem":                "Project",
		"RoleDetailsListItem":            "RoleDetails",
		"PermissionListItem":             "Permission",
		"PatchedInvitationUpdateRequest": "InvitationUpdateRequest",

		"PatchedGroupInvitationUpdateRequest": "GroupInvitationUpdateRequest",
	} {
		want, err := json.Marshal(schemas[as].Value.Properties)
		require.NoError(t, err)
		got, err := json.Marshal(schemas[same].Value.Properties)
		require.NoError(t, err)
		require.JSONEq(t, string(want), string(got), same)
	}
}

// contractOperation is an operation of the contract with its method and path.
type contractOperation struct {
	*openapi3.Operation
	method, path string
}

// contractOperations returns the operations of the contract. The parameters of a path are among those of its operations.
func contractOperations(t *testing.T) (all []contractOperation) {
	t.Helper()
	paths := loadContract(t).Paths.Map()
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		operations := paths[path].Operations()
		for _, method := range slices.Sorted(maps.Keys(operations)) {
			operation := *operations[method]
			operation.Parameters = append(slices.Clone(paths[path].Parameters), operation.Parameters...)
			all = append(all, contractOperation{&operation, method, path})
		}
	}
	require.NotEmpty(t, all)
	return all
}

// What a summary must not be: it stands alone as a title of a request or as the name of a tool.
var notAlone = regexp.MustCompile("(?i)\\b(as|like|see|for) `?[a-z]+_[a-z_]+`?(,| does|\\.)|\\bof the list\\b|\\bin the list\\b")

// A summary is the title of a request in Postman and the name of a tool for a language model; a description is all that the
// model reads about the tool.
func TestContractWordsStandAlone(t *testing.T) {
	t.Parallel()
	usedBy := map[string]string{}
	for _, operation := range contractOperations(t) {
		where := operation.OperationID
		summary := operation.Summary
		require.NotEmpty(t, summary, where)
		require.LessOrEqual(t, len(summary), 60, "%s: %s", where, summary)
		require.NotRegexp(t, `[.\x60]$|_`, summary, where)
		require.Empty(t, usedBy[summary], "%s and %s have the same summary", where, usedBy[summary])
		usedBy[summary] = where
		require.GreaterOrEqual(t, len(operation.Description), 50, "%s: %s", where, operation.Description)
		require.NotRegexp(t, notAlone, operation.Description, where)
		for _, parameter := range operation.Parameters {
			require.NotEmpty(t, parameter.Value.Description, "%s %s", where, parameter.Value.Name)
		}
	}
}

// An id of an operation that a text names is one of the contract's.
func TestContractNamesItsOwnOperations(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../openapi.yaml")
	require.NoError(t, err)
	var known []string
	for _, operation := range contractOperations(t) {
		known = append(known, operation.OperationID)
	}
	named := regexp.MustCompile("`([a-z]+_[a-z_]+_(?:list|count|retrieve|create|update|accept|send|decline|exchange|duplicates))`")
	found := named.FindAllStringSubmatch(string(text), -1)
	require.NotEmpty(t, found)
	for _, each := range found {
		require.Contains(t, known, each[1])
	}
}

// A tool that counts rows in a header is of no use to a language model.
func TestContractKeepsCountsFromModels(t *testing.T) {
	t.Parallel()
	for _, operation := range contractOperations(t) {
		if operation.method == http.MethodHead {
			require.Equal(t, false, operation.Extensions["x-mcp"], operation.OperationID)
		} else {
			require.NotContains(t, operation.Extensions, "x-mcp", operation.OperationID)
		}
	}
}

// Swagger UI, Postman and others fill in the examples of parameters and of the properties of bodies.
func TestContractHasExamplesOfRequests(t *testing.T) {
	t.Parallel()
	for _, operation := range contractOperations(t) {
		for _, parameter := range operation.Parameters {
			p, where := parameter.Value, operation.OperationID+" "+parameter.Value.Name
			// Tools would send an example everywhere: two requests with one key are refused, and so is a cursor with a page.
			if p.Name == idempotency.Header || p.Name == "cursor" {
				require.Nil(t, p.Example, where)
				continue
			}
			require.NotNil(t, p.Example, where)
			require.NoError(t, p.Schema.Value.VisitJSON(p.Example, openapi3.EnableFormatValidation()), where)
		}
		if operation.RequestBody != nil {
			requireExamples(t, operation.OperationID, operation.RequestBody.Value.Content.Get("application/json").Schema.Value)
		}
	}
}

// requireExamples fails where a property of a schema, at any depth, has no description or no valid example.
func requireExamples(t *testing.T, where string, schema *openapi3.Schema) {
	t.Helper()
	if schema.Items != nil {
		requireExamples(t, where, schema.Items.Value)
	}
	for name, property := range schema.Properties {
		where := where + " " + name
		require.NotEmpty(t, property.Value.Description, where)
		require.NotNil(t, property.Value.Example, where)
		require.NoError(t, property.Value.VisitJSON(property.Value.Example, openapi3.EnableFormatValidation()), where)
		requireExamples(t, where, property.Value)
	}
}

// A client that sends each parameter with its example, as an import into Postman does, gets rows of the demonstration.
func TestContractExamplesFindRows(t *testing.T) {
	t.Parallel()
	x := newExamples(t, nil)
	id, _ := x.invite("role", exampleMember)
	x.deliver(id)
	forCustomer := x.publicGroup().UUID
	x.group("olivia")
	x.exec("UPDATE group_invitations SET uuid = '" + exampleInvitation + "' WHERE uuid <> '" + forCustomer.String() + "'")
	x.request(http.MethodPost, groupAt(exampleInvitation, "submit_request"), "max", nil).is(http.StatusOK, "")
	ofMany := x.bulk120()
	x.runBulk(ofMany)
	lists := 0
	for _, operation := range contractOperations(t) {
		if operation.method != http.MethodGet || operation.Parameters.GetByInAndName("query", "page") == nil || operation.Tags[0] == tokensTag {
			continue
		}
		lists++
		query := url.Values{}
		for _, parameter := range operation.Parameters {
			switch p := parameter.Value; {
			case p.In != openapi3.ParameterInQuery:
			case p.Name == "cursor": // takes the place of page
			case p.Schema.Value.Type.Is(openapi3.TypeArray):
				for _, each := range p.Example.([]any) {
					query.Add(p.Name, fmt.Sprint(each))
				}
			default:
				query.Set(p.Name, fmt.Sprint(p.Example))
			}
		}
		of := id
		switch {
		case operation.OperationID == "user_group_invitations_projects_list":
			of = forCustomer
		case strings.HasPrefix(operation.path, groups):
			of = uuid.MustParse(exampleInvitation)
		case strings.HasPrefix(operation.path, bulks):
			of = ofMany
		}
		path := strings.ReplaceAll(operation.path, "{uuid}", examplePath(operation, of))
		var rows []map[string]any
		caller := "olivia"
		if operation.OperationID == "user_invitations_mine_list" {
			caller = "alice"
		}
		if strings.HasPrefix(path, "/api/projects/") {
			caller = "max" // the example of current_user_has_role
		}
		answer := x.request(http.MethodGet, path+"?"+query.Encode(), caller, nil).is(http.StatusOK, "")
		if operation.OperationID == "user_invitations_bulk_retrieve" {
			var details struct{ Results []map[string]any }
			answer.decode(&details)
			rows = details.Results
		} else {
			answer.decode(&rows)
		}
		require.NotEmpty(t, rows, "%s?%s", path, query.Encode())
	}
	require.GreaterOrEqual(t, lists, 6)
}

const tokensTag = "personal-access-tokens" // has no rows for an API token

// examplePath returns the example of an operation's uuid. The demonstration's invitation has another one here.
func examplePath(operation contractOperation, made uuid.UUID) string {
	parameter := operation.Parameters.GetByInAndName("path", "uuid")
	if parameter == nil {
		return ""
	}
	return strings.ReplaceAll(fmt.Sprint(parameter.Example), exampleInvitation, made.String())
}

// The ids in the contract's examples are those of the demonstration.
func TestContractExamplesAreOfTheDemonstration(t *testing.T) {
	t.Parallel()
	demo, err := os.ReadFile("../app/demo.yaml")
	require.NoError(t, err)
	check := func(where string, example any) {
		text, err := json.Marshal(example)
		require.NoError(t, err)
		for _, id := range regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`).FindAllString(string(text), -1) {
			require.True(t, id == exampleInvitation || strings.Contains(string(demo), id), "%s: the demonstration has no %s", where, id)
		}
	}
	for _, operation := range contractOperations(t) {
		for _, parameter := range operation.Parameters {
			check(operation.OperationID+" "+parameter.Value.Name, parameter.Value.Example)
		}
		if operation.RequestBody == nil {
			continue
		}
		media := operation.RequestBody.Value.Content.Get("application/json")
		for name, example := range mediaExamples(media) {
			check(operation.OperationID+" "+name, example)
		}
		for name, property := range media.Schema.Value.Properties {
			check(operation.OperationID+" "+name, property.Value.Example)
		}
	}
}

// The parameter `field` of a list takes the fields of its rows, and rows that lack fields conform.
func TestContractListsHavePartialRows(t *testing.T) {
	t.Parallel()
	lists := 0
	for path, item := range loadContract(t).Paths.Map() {
		if item.Get == nil {
			continue
		}
		field := item.Get.Parameters.GetByInAndName("query", "field")
		if field == nil {
			continue
		}
		lists++
		row := item.Get.Responses.Value("200").Value.Content.Get("application/json").Schema.Value.Items.Value
		require.Empty(t, row.Required, path)
		names := []any{}
		for name := range row.Properties {
			names = append(names, name)
		}
		require.ElementsMatch(t, names, field.Schema.Value.Items.Value.Enum, path)
	}
	require.NotZero(t, lists)
}

// A filter of Waldur's that the server does not have is named where it is ignored, so that nobody takes the rows for filtered
// ones.
func TestContractNamesIgnoredParameters(t *testing.T) {
	t.Parallel()
	lists := 0
	for path, item := range loadContract(t).Paths.Map() {
		for method, operation := range item.Operations() {
			names, _ := operation.Extensions["x-ignored-parameters"].([]any)
			for _, name := range names {
				lists++
				require.Contains(t, item.Get.Description, "`"+name.(string)+"`", path)
				for _, parameters := range []openapi3.Parameters{item.Parameters, operation.Parameters} {
					require.Nil(t, parameters.GetByInAndName("query", name.(string)), "%s %s", method, path)
				}
			}
			if item.Get != nil {
				require.Equal(t, item.Get.Extensions["x-ignored-parameters"], operation.Extensions["x-ignored-parameters"], "%s %s", method, path)
			}
		}
	}
	require.NotZero(t, lists)
}
