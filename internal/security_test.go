package internal_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// SECURITY.md names the tests that hold its promises. A test that is renamed or removed takes its promise along.
func TestSecurityPromisesHaveTheirTests(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../SECURITY.md")
	require.NoError(t, err)
	named := regexp.MustCompile("`(Test[A-Za-z]+)`").FindAllStringSubmatch(string(page), -1)
	require.Greater(t, len(named), 10)
	var tests strings.Builder
	require.NoError(t, filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		content, err := os.ReadFile(path)
		tests.Write(content)
		return err
	}))
	for _, name := range named {
		assert.Contains(t, tests.String(), "\nfunc "+name[1]+"(t *testing.T) {", name[1])
	}
}
