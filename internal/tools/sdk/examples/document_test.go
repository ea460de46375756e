package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const small = `# Title

### Cancel

=== "HTTPie"

    ~~~bash
    http \
      POST https://api.example.com/a1b2c3d4-e5f6-7890-abcd-ef1234567890/ \

      Authorization:"Token YOUR_API_TOKEN"
    ~~~

=== "Python"

    ~~~python
    print("YOUR_API_TOKEN")
    ~~~

=== "TypeScript"

    ~~~typescript
    console.log("YOUR_API_TOKEN");
    ~~~

=== "Responses"

    Text with ` + "`code`" + ` in it.
`

func document(replaced ...string) string {
	return strings.ReplaceAll(strings.NewReplacer(replaced...).Replace(small), "~~~", "```")
}

func TestParseAndFill(t *testing.T) {
	t.Parallel()
	blocks, err := parse(document())
	require.NoError(t, err)
	require.NoError(t, checkComplete(blocks, []operation{{heading: "Cancel"}}))
	require.Equal(t, []block{
		{"Cancel", "HTTPie", 8, "http \\\n  POST https://api.example.com/a1b2c3d4-e5f6-7890-abcd-ef1234567890/ \\\n\n  Authorization:\"Token YOUR_API_TOKEN\"\n"},
		{"Cancel", "Python", 17, "print(\"YOUR_API_TOKEN\")\n"},
		{"Cancel", "TypeScript", 23, "console.log(\"YOUR_API_TOKEN\");\n"},
	}, blocks)

	code, err := blocks[0].fill(map[string]string{anyServer: "http://here", anyUUID: "u", anyToken: "key"})
	require.NoError(t, err)
	require.Equal(t, "http \\\n  POST http://here/u/ \\\n\n  Authorization:\"Token key\"\n", code)
	_, err = blocks[0].fill(map[string]string{anyServer: "http://here", anyToken: "key"})
	require.EqualError(t, err, "line 8: there is no value for "+anyUUID)
	_, err = blocks[1].fill(map[string]string{anyServer: "http://here", anyToken: "key"})
	require.EqualError(t, err, "line 17: the example does not have "+anyServer)
}

func TestInvalidDocuments(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		replaced []string
		want     string
	}{
		"that lacks an example":            {[]string{`"Python"`, `"Ruby"`, "~~~python", "~~~ruby"}, "line 16: a code block that is not an example in HTTPie, Python or TypeScript"},
		"whose tab has another fence":      {[]string{"~~~python", "~~~bash"}, "line 16: a code block that is not an example in HTTPie, Python or TypeScript"},
		"with an unknown operation":        {[]string{"### Cancel", "### Undo"}, "Cancel has no example in HTTPie"},
		"with an example twice":            {[]string{`"TypeScript"`, `"HTTPie"`, "~~~typescript", "~~~bash"}, "line 23: Cancel has an example in HTTPie already, on line 8"},
		"with an example without an end":   {[]string{"\");\n    ~~~", "\");\n"}, "line 26: the code block that begins on line 23 is not indented like its fence"},
		"with a code block among the text": {[]string{"# Title\n", "~~~sh\nls\n~~~\n"}, "line 1: a code block that is not an example in HTTPie, Python or TypeScript"},
		"with nothing in it":               {[]string{small, ""}, "Cancel has no example in HTTPie"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			blocks, err := parse(document(test.replaced...))
			if err == nil {
				err = checkComplete(blocks, []operation{{heading: "Cancel"}})
			}
			assert.EqualError(t, err, test.want)
		})
	}
	blocks, err := parse(document())
	require.NoError(t, err)
	require.ErrorContains(t, checkComplete(blocks, nil), "which is an unknown operation")
}
