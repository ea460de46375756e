package api_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
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
		"PatchedInvitationUpdateRequest": "InvitationUpdateRequest",
	} {
		want, err := json.Marshal(schemas[as].Value.Properties)
		require.NoError(t, err)
		got, err := json.Marshal(schemas[same].Value.Properties)
		require.NoError(t, err)
		require.JSONEq(t, string(want), string(got), same)
	}
}
