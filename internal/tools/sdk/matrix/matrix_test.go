package main

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A tool that is not in the table would not be run, and a reason for a step that does not exist would never be printed.
func TestToolsAreThoseOfTheFolders(t *testing.T) {
	t.Parallel()

	scripts, err := filepath.Glob("*/tool.sh")
	require.NoError(t, err)
	var names, folders []string
	for _, script := range scripts {
		info, err := os.Stat(script)
		require.NoError(t, err)
		assert.NotZero(t, info.Mode()&0o100, "%s is not executable", script)
		folders = append(folders, filepath.Dir(script))
	}
	columns := slices.Concat(phases, steps)
	for _, each := range tools {
		names = append(names, each.name)
		assert.Subset(t, columns, slices.Collect(maps.Keys(each.known)), each.name)
		assert.NotContains(t, slices.Collect(maps.Values(each.known)), "", each.name)
	}
	assert.ElementsMatch(t, folders, names)
	assert.Subset(t, names, short)
}

func TestChoose(t *testing.T) {
	t.Parallel()

	all, err := choose("full", "")
	require.NoError(t, err)
	assert.Len(t, all, len(tools))
	few, err := choose("short", "")
	require.NoError(t, err)
	assert.Len(t, few, len(short))
	named, err := choose("short", tools[1].name+","+tools[0].name)
	require.NoError(t, err)
	assert.Equal(t, []string{tools[1].name, tools[0].name}, []string{named[0].name, named[1].name})

	_, err = choose("long", "")
	require.ErrorContains(t, err, `not "long"`)
	_, err = choose("full", "nothing")
	require.ErrorContains(t, err, `no tool "nothing"`)
}

func TestReadSteps(t *testing.T) {
	t.Parallel()

	done := func(but string) string {
		var b strings.Builder
		for _, step := range steps {
			if step != but {
				b.WriteString("step " + step + " ok\n")
			}
		}
		return b.String()
	}
	for _, test := range []struct {
		name, output, step, failed string
	}{
		{"all steps", done(""), "", ""},
		{"output between them", "a warning\n" + done("list") + "step list ok\n", "", ""},
		{"one failed", done("list") + "step list failed: got 2 rows\n", "list", "got 2 rows"},
		{"ok and failed", done("") + "step list failed: the second time\n", "list", "the second time"},
		{"one is missing", done("count"), "count", "not reported"},
		{"a word more", done("count") + "step count ok?\n", "count", "not reported"},
		{"none", "Segmentation fault\n", "list", "Segmentation fault"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()

			r := result{failed: map[string]string{}, passed: map[string]bool{}}
			r.readSteps(test.output)
			if test.step == "" {
				assert.Empty(t, r.failed)
				assert.Len(t, r.passed, len(steps))
				return
			}
			assert.Contains(t, r.failed[test.step], test.failed)
			assert.False(t, r.passed[test.step])
		})
	}
}

func TestTable(t *testing.T) {
	t.Parallel()

	of := func(known map[string]string) result {
		return result{
			tool: tool{name: "generator", known: known}, version: "1.2",
			passed: map[string]bool{"generate": true, "compile": true, "list": true}, failed: map[string]string{"count": "got nothing"},
		}
	}
	for _, test := range []struct {
		name     string
		result   result
		printed  string
		problems []string
	}{
		{"a failure", of(nil), "FAILED", []string{"generator: count: got nothing"}},
		{"a known failure", of(map[string]string{"count": "It reads no headers."}), "generator: count: known: It reads no headers.\n", nil},
		{
			"a known failure that works", of(map[string]string{"count": "It reads no headers.", "list": "It sends one state."}), "known",
			[]string{"generator: list works, and is stated as a known failure: It sends one state."},
		},
		{"left out", result{tool: tool{name: "generator"}, missing: "Java is needed."}, "generator: left out: Java is needed.\n", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()

			var out strings.Builder
			assert.Equal(t, test.problems, printTable(&out, []result{test.result}))
			assert.Contains(t, out.String(), test.printed)
		})
	}
}

func TestNewerServer(t *testing.T) {
	t.Parallel()

	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=UTF-8")
		w.Header().Set("X-Result-Count", "1")
		if r.URL.Path == "/refused" {
			w.WriteHeader(http.StatusBadRequest)
		}
		_, err := io.WriteString(w, `[{"id": 12345678901234567890, "inner": {}}]`)
		assert.NoError(t, err)
	}))
	t.Cleanup(upstream.Close)
	newer, err := serveNewer(upstream.URL)
	require.NoError(t, err)
	t.Cleanup(newer.Close)

	get := func(method, path string) (*http.Response, string) {
		request, err := http.NewRequestWithContext(context.Background(), method, newer.URL+path, nil)
		require.NoError(t, err)
		response, err := newer.Client().Do(request)
		require.NoError(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response, string(body)
	}
	response, body := get(http.MethodGet, "/list")
	assert.Equal(t, "1", response.Header.Get("X-Result-Count"))
	added := `"field_of_a_later_version":{"uuid":"0f5a9f2e-7a55-4c7e-9f0a-6b3a6a0c6a11"}`
	assert.Equal(t, `[{`+added+`,"id":12345678901234567890,"inner":{`+added+`}}]`, body)

	_, body = get(http.MethodGet, "/refused")
	assert.JSONEq(t, `[{"id": 12345678901234567890, "inner": {}}]`, body)
	_, body = get(http.MethodHead, "/list")
	assert.Empty(t, body)
}
