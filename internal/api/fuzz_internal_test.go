package api

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"invited/internal/fault"
)

func queryRequest(raw string) *http.Request { return &http.Request{URL: &url.URL{RawQuery: raw}} }

// fuzzedOperation has the lists o and field, of which field ignores unknown values, and the texts email and page_size.
var fuzzedOperation = func() *openapi3.Operation {
	text := openapi3.NewStringSchema()
	list := openapi3.NewArraySchema().WithItems(openapi3.NewStringSchema().WithEnum("a", "b"))
	operation := openapi3.NewOperation()
	field := openapi3.NewQueryParameter("field").WithSchema(list)
	field.Extensions = map[string]any{ignoreUnknown: true}
	operation.AddParameter(field)
	operation.AddParameter(openapi3.NewQueryParameter("o").WithSchema(list))
	operation.AddParameter(openapi3.NewQueryParameter("email").WithSchema(text))
	operation.AddParameter(openapi3.NewQueryParameter("page_size").WithSchema(text))
	return operation
}()

// sanitizeQuery reads the lists in all of their forms, drops empty values, limits page_size, and leaves everything else. A
// second pass changes nothing.
func FuzzSanitizeQuery(f *testing.F) {
	for _, seed := range []string{
		"", "o=created,-email&o=state", "o=,", "page_size=9999999999", "page_size=1" + strings.Repeat("0", 30), "page_size=0301",
		"page_size=-5", "page_size=5&page_size=99999", "email=%ff", "%ff=%ff", "%zz", "a;b", "x=%00&o=a%2Cb", "o=a%252Cb", "&&=&", "page_size=١٠٠٠",
		"o[]=a&o[1]=b,a", "o[x]=a", "email[]=x", "nope[]=x", "field=a,x&field[]=b", "field=x", "o=&email=&page_size=", "email=&email=", "[]=x", "o[][]=a",
	} {
		f.Add(seed)
	}
	digits := regexp.MustCompile(`^[0-9]+$`)
	split := func(values []string, keep func(string) bool) (all []string) {
		for _, each := range strings.Split(strings.Join(values, ","), ",") {
			if each != "" && keep(each) {
				all = append(all, each)
			}
		}
		return all
	}
	f.Fuzz(func(t *testing.T, raw string) {
		r := queryRequest(raw)
		written, err := sanitizeQuery(r, fuzzedOperation)
		sent, malformed := url.ParseQuery(raw)
		if malformed != nil {
			require.Error(t, err)
		}
		if err != nil {
			require.True(t, fault.Is(err, fault.KindInvalid), "%v", err)
			require.True(t, utf8.ValidString(err.Error()))
			return
		}
		require.Equal(t, sent, written)
		got, err := url.ParseQuery(r.URL.RawQuery)
		require.NoError(t, err)
		lists := map[string][]string{}
		for _, name := range slices.Sorted(maps.Keys(sent)) {
			values := sent[name]
			for _, each := range values {
				require.True(t, !utf8.ValidString(name) || utf8.ValidString(each), "%q", raw)
			}
			plain, _, isBracketed := strings.Cut(name, "[")
			switch {
			case plain == "o" || plain == "field":
				lists[plain] = append(lists[plain], values...)
			case isBracketed && utf8.ValidString(name):
				t.Fatalf("%q was accepted", name)
			case len(values) == 1 && values[0] == "":
				require.NotContains(t, got, name)
			case name == "page_size":
				size, ok := new(big.Int).SetString(values[0], 10)
				if ok && len(values) == 1 && digits.MatchString(values[0]) && size.Cmp(big.NewInt(999)) > 0 {
					values = []string{strconv.Itoa(maxPageSize)}
				}
				require.Equal(t, values, got[name])
			default:
				require.Equal(t, values, got[name])
			}
		}
		require.Equal(t, split(lists["o"], func(string) bool { return true }), []string(got["o"]))
		require.Equal(t, split(lists["field"], func(each string) bool { return each == "a" || each == "b" }), []string(got["field"]))
		again := queryRequest(r.URL.RawQuery)
		_, err = sanitizeQuery(again, fuzzedOperation)
		require.NoError(t, err)
		require.Equal(t, r.URL.RawQuery, again.URL.RawQuery)
	})
}

var linkForm = regexp.MustCompile(`^<([^<>"\s]*)>; rel="([a-z]+)"$`)

// Every link is a URL of the list with all parameters of the query, and with the page of its relation. No parameter
// breaks out of the angle brackets.
func FuzzLinkHeader(f *testing.F) {
	f.Add("email=a&o=created&o=-email", uint16(0), uint16(9), uint32(35))
	f.Add("page=7&page=8&x=%3E%0d%0aLocation:%20x", uint16(3), uint16(299), uint32(0))
	f.Add("%ff=%22%3B%20rel=", uint16(1), uint16(0), uint32(2))
	f.Fuzz(func(t *testing.T, raw string, number, size uint16, total uint32) {
		query, err := url.ParseQuery(raw)
		if err != nil {
			t.Skip()
		}
		p := pageRequest{int(number) + 1, int(size)%maxPageSize + 1}
		last := max(1, (int(total)+p.size-1)/p.size)
		want := []string{"first"}
		pages := map[string]int{"first": 1, "prev": p.number - 1, "next": p.number + 1, "last": last}
		if p.number > 1 {
			want = append(want, "prev")
		}
		if p.number < last {
			want = append(want, "next")
		}
		want = append(want, "last")

		var got []string
		const address = "https://api.example/api/user-invitations/"
		for _, each := range strings.Split(p.linkHeader(address, query, int(total)), ", ") {
			found := linkForm.FindStringSubmatch(each)
			require.NotNil(t, found, each)
			got = append(got, found[2])
			rest, ok := strings.CutPrefix(found[1], address)
			require.True(t, ok, each)
			values, err := url.ParseQuery(strings.TrimPrefix(rest, "?"))
			require.NoError(t, err)
			if page := pages[found[2]]; page == 1 {
				require.NotContains(t, values, "page")
			} else {
				require.Equal(t, []string{strconv.Itoa(page)}, values["page"])
			}
			values["page"] = query["page"]
			if values["page"] == nil {
				delete(values, "page")
			}
			require.Equal(t, query, values)
		}
		require.Equal(t, want, got)
	})
}

// sanitizeJSON accepts one JSON value in UTF-8 without duplicate names, and leaves of it what the schema describes. It
// rejects anything else, values that are nested too deeply, and lists that are too long.
func FuzzSanitizeJSON(f *testing.F) {
	for _, seed := range []string{
		"", " ", "{}", `{"a": 1, "a": 2}`, `{"a": {"b": [1, {"c": null}]}}`, `{}{}`, "\ufeff{}", `"\ud800"`, `"\ud83e\udd14"`, "[1,]",
		`{"\u0061": 1, "a": 2}`, "1e400", "-0", `"` + "\xff" + `"`, `"` + "\x00" + `"`, "nul", `{"a":{"a":1}}`,
		`{"a":" x ","l":[{"a":"y\t","b":[1]},5,"z"],"token":" t ","c":{}}`, `{"l":[1,2,3,4]}`, `{"a":[{}],"l":{"a":1},"token":[[" "]]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r := &http.Request{Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body))}
		err := sanitizeJSON(r, fuzzedSchema)
		if len(bytes.TrimSpace(body)) == 0 {
			body = []byte("{}")
		}
		good := json.Valid(body) && utf8.Valid(body) && namesOnce(body)
		if err != nil {
			require.True(t, fault.Is(err, fault.KindInvalid), "%v", err)
			require.True(t, utf8.ValidString(err.Error()), "%q", err.Error())
			require.Less(t, len(err.Error()), 500)
			require.False(t, good && !loneSurrogate.Match(body) && depth(body) < 10_000 && listLength(body) <= 3, "%q: %v", body, err)
			return
		}
		require.True(t, good, "%q", body)
		left, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		want, err := json.Marshal(described(decoded(body), fuzzedSchema, ""))
		require.NoError(t, err)
		require.Equal(t, decoded(want), decoded(left))
		require.EqualValues(t, len(left), r.ContentLength)
		require.True(t, json.Valid(left), "%q", left)
	})
}

// fuzzedSchema is the schema {"a": string, "token": string, "l": [the same without l], at most 3}.
var fuzzedSchema = func() *openapi3.Schema {
	item := openapi3.NewObjectSchema().WithProperty("a", openapi3.NewStringSchema()).WithProperty("token", openapi3.NewStringSchema())
	list := openapi3.NewArraySchema().WithItems(item).WithMaxItems(3)
	whole := openapi3.NewObjectSchema().WithProperty("l", list).WithProperty("token", openapi3.NewStringSchema())
	whole.Properties["a"] = &openapi3.SchemaRef{Value: &openapi3.Schema{AllOf: openapi3.SchemaRefs{{Value: openapi3.NewStringSchema()}}}}
	return whole
}()

func decoded(body []byte) (value any) {
	reader := json.NewDecoder(bytes.NewReader(body))
	reader.UseNumber()
	if reader.Decode(&value) != nil {
		return nil
	}
	return value
}

// listLength returns the length of the list in the property l of an object.
func listLength(body []byte) int {
	object, _ := decoded(body).(map[string]any)
	list, _ := object["l"].([]any)
	return len(list)
}

// described returns what a schema describes of a value.
func described(value any, schema *openapi3.Schema, name string) any {
	if len(schema.AllOf) == 1 {
		schema = schema.AllOf[0].Value
	}
	switch v := value.(type) {
	case string:
		if name == "token" {
			return v
		}
		return strings.Trim(v, " \t")
	case map[string]any:
		all := map[string]any{}
		for name, property := range schema.Properties {
			if member, ok := v[name]; ok {
				all[name] = described(member, property.Value, name)
			}
		}
		return all
	case []any:
		all := []any{}
		for _, member := range v {
			if schema.Items != nil {
				all = append(all, described(member, schema.Items.Value, name))
			}
		}
		return all
	default:
		return v
	}
}

// loneSurrogate matches an escaped surrogate, paired or not.
var loneSurrogate = regexp.MustCompile(`\\u[dD][89a-fA-F]`)

func depth(body []byte) int { return bytes.Count(body, []byte("[")) + bytes.Count(body, []byte("{")) }

// namesOnce reports whether every object in a valid JSON text has distinct names.
func namesOnce(body []byte) bool {
	type object struct {
		names map[string]bool // nil: an array
		value bool            // what comes next is a value, not a name
	}
	var inside []object
	reader := json.NewDecoder(bytes.NewReader(body))
	reader.UseNumber()
	for {
		token, err := reader.Token()
		if err != nil {
			return err == io.EOF
		}
		delim, isDelim := token.(json.Delim)
		if isDelim && (delim == '}' || delim == ']') {
			inside = inside[:len(inside)-1]
			continue
		}
		if n := len(inside); n > 0 && inside[n-1].names != nil {
			in := &inside[n-1]
			if !in.value {
				name := token.(string)
				if in.names[name] {
					return false
				}
				in.names[name], in.value = true, true
				continue
			}
			in.value = false
		}
		if isDelim && delim == '{' {
			inside = append(inside, object{names: map[string]bool{}})
		} else if isDelim {
			inside = append(inside, object{})
		}
	}
}
