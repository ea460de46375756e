package api

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"invited/internal/bulk"
	"invited/internal/directory"
	"invited/internal/fault"
)

func TestReadBulkJSON(t *testing.T) {
	t.Parallel()
	rows, err := readBulkJSON([]byte(`{
		"shoe": {"rows": [1]}, "rows": [
			{"email": " ada@example.com ", "full_name": "\u00a0Ada", "shoe": [42, {}], "role": "PROJECT.ADMIN"},
			{"email": 1, "phone_number": 1.50, "civil_number": "", "expires": null, "membership_expires": "2026-12-24T09:30:00Z"},
			{"email": true, "full_name": null, "role": {"a": [1, 2]}, "scope": [], "job_title": [], "organization": {}, "expires": 1, "membership_expires": []},
			{"email": "", "role": " ", "scope": ""},
			null, 7, []
		], "defaults": {"role": "PROJECT.MEMBER", "job_title": "Researcher"}}`), bulk.Row{})
	require.NoError(t, err)
	const member, researcher = "PROJECT.MEMBER", "Researcher"
	require.Equal(t, []bulk.Row{
		{Email: "ada@example.com", FullName: "Ada", Role: "PROJECT.ADMIN", JobTitle: researcher},
		{Email: "1", PhoneNumber: "1.5", MembershipExpires: "2026-12-24T09:30:00Z", Role: member, JobTitle: researcher},
		{Role: `{"a":[1,2]}`, Scope: "[]", Expires: "1", Wrong: fault.Fields{
			"email": {"Not a valid string."}, "full_name": {"This field may not be null."}, "job_title": {"Not a valid string."},
			"organization": {"Not a valid string."}, "membership_expires": {"Enter a date and time such as 2026-11-23T09:30:00Z."},
		}},
		{Role: member, JobTitle: researcher, Wrong: fault.Fields{"email": {"This field may not be blank."}, "scope": {"This field may not be blank."}}},
		{Role: member, JobTitle: researcher, Wrong: fault.Fields{fault.NonField: {"This field may not be null."}}},
		{Role: member, JobTitle: researcher, Wrong: fault.Fields{fault.NonField: {"Invalid data. Expected a dictionary."}}},
		{Role: member, JobTitle: researcher, Wrong: fault.Fields{fault.NonField: {"Invalid data. Expected a dictionary."}}},
	}, rows)

	rows, err = readBulkJSON([]byte(`{"rows": [{"role": "", "email": "a@b.example"}, {"x": "`+strings.Repeat("x", maxRowSize)+`"}]}`), bulk.Row{})
	require.NoError(t, err)
	require.Equal(t, []bulk.Row{
		{Email: "a@b.example", Wrong: fault.Fields{"role": {"This field may not be null."}}},
		{Wrong: fault.Fields{fault.NonField: {"Ensure this row is no larger than 64 KiB."}}},
	}, rows)
	rows, err = readBulkJSON([]byte(`{"rows": [`+strings.Repeat("{},", bulk.MaxRows-1)+`{}]}`), bulk.Row{})
	require.NoError(t, err)
	require.Len(t, rows, bulk.MaxRows)

	// What the query says comes behind what the body says.
	rows, err = readBulkJSON([]byte(`{"rows": [{"role": "a"}, {"scope": "b"}], "defaults": {"scope": "c"}}`), bulk.Row{Role: "role", Scope: "scope"})
	require.NoError(t, err)
	require.Equal(t, []bulk.Row{{Role: "a", Scope: "c"}, {Role: "role", Scope: "b"}}, rows)
	rows, err = readBulkJSON([]byte(`{"rows": [{"role": "", "scope": ""}], "defaults": {"role": ""}}`), bulk.Row{Role: "role"})
	require.NoError(t, err)
	require.Equal(t, []bulk.Row{{Role: "role", Wrong: fault.Fields{"scope": {msgBlank}}}}, rows)
}

func TestReadBulkJSONRefuses(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		``:                                 "rows: This field is required.",
		` `:                                "rows: This field is required.",
		`{}`:                               "rows: This field is required.",
		`null`:                             "non_field_errors: This field may not be null.",
		`[]`:                               "non_field_errors: Invalid data. Expected a dictionary.",
		`"x"`:                              "non_field_errors: Invalid data. Expected a dictionary.",
		`{"rows": null}`:                   "rows: This field may not be null.",
		`{"rows": {}}`:                     "rows: This value is not valid.",
		`{"rows": []}`:                     "rows: This list may not be empty.",
		`{"rows": [], "defaults": 1}`:      "defaults: Invalid data. Expected a dictionary.; rows: This list may not be empty.",
		`{"rows": [{}], "defaults": null}`: "defaults: This field may not be null.",
		`{"rows": [{}], "defaults": {"role": null, "full_name": []}}`: "defaults: full_name: Not a valid string.",
		`{"rows": [{}], "defaults": {"full_name": "` + strings.Repeat("x", 101) + `", "job_title": "` + strings.Repeat("x", 121) + `"}}`://
		"defaults: full_name: Ensure this field has no more than 100 characters.",
		`{"rows": [` + strings.Repeat(`{},`, bulk.MaxRows) + `{}]}`:   "rows: Ensure this field has no more than 10000 elements.",
		`{"rows": [` + strings.Repeat(`{},`, bulk.MaxRows) + `{"a": `: "rows: Ensure this field has no more than 10000 elements.",
		`{"rows": [{}], "dry_run": true, "on_duplicate": "send"}`:     "dry_run: Send this as a query parameter: ?dry_run=true.; on_duplicate: Send this as a query parameter: ?on_duplicate=send.",
		`{"role": 1, "scope": {}, "rows": [{}]}`:                      "role: Send this in defaults, or as a query parameter.; scope: Send this in defaults, or as a query parameter.",
		`{"rows": [{}]} {}`:                                           "non_field_errors: JSON parse error - more than one value.",
		`{"rows": [{}], "rows": [{}]}`:                                `non_field_errors: JSON parse error - duplicate object member name at /rows.`,
		`{"rows": [{}, {"email": "a", "\u0065mail": "b"}]}`:           `non_field_errors: JSON parse error - duplicate object member name at /rows/1/email.`,
		`{"rows": [{}, {"shoe": {"a": 1, "a": 2}}]}`:                  `non_field_errors: JSON parse error - duplicate object member name at /rows/1/shoe/a.`,
		`{"rows": [{"email": "\ud800"}]}`:                             "non_field_errors: JSON parse error - invalid surrogate pair `\\ud800\"}]}` in string at /rows/0/email.",
		"{\"rows\": [{\"email\": \"\xff\"}]}":                         "non_field_errors: JSON parse error - invalid UTF-8 at /rows/0/email.",
		`{"rows": [{}`:                                                "non_field_errors: JSON parse error - unexpected end.",
		`{"rows": [{},]}`:                                             "non_field_errors: JSON parse error - invalid character ',' at start of value at /rows.",
		`{`:                                                           "non_field_errors: JSON parse error - unexpected end.",
		`x`:                                                           "non_field_errors: JSON parse error - invalid character 'x' at start of value at character 0.",
		`{"rows": [` + strings.Repeat("[", 20_000):                    "non_field_errors: JSON parse error - exceeded max depth.",
	} {
		rows, err := readBulkJSON([]byte(body), bulk.Row{})
		require.Error(t, err, "%.80s", body)
		if strings.Contains(want, "max depth") {
			require.Contains(t, err.Error(), "exceeded max depth")
		} else {
			require.Equal(t, want, err.Error(), "%.80s", body)
		}
		require.Empty(t, rows)
	}
}

// What a body with rows costs in memory is bounded, whatever is in the body. The test is not parallel, since it counts what
// the process allocates.
func TestReadingRowsTakesFewTimesTheBody(t *testing.T) { //nolint:paralleltest // as above
	const size = maxBulkBody - 100
	fill := func(before, each, after string) string {
		return before + strings.Repeat(each, (size-len(before)-len(after))/len(each)) + after
	}
	for name, body := range map[string]string{
		"lists":         fill(`{"rows":`, `[`, ``),
		"many names":    `{"x":` + manyNames(size-20) + `,"rows":[{}]}`,
		"one name":      fill(`{"rows":[{"`, `x`, `":1}]}`),
		"names at top":  manyNames(size),
		"names in row":  `{"rows":[` + manyNames(size-20) + `]}`,
		"names in rows": fill(`{"rows":[`, manyNames(60<<10)+",", `{}]}`),
		"empty rows":    fill(`{"rows":[`, `{},`, `{}]}`),
		"numbers":       fill(`{"rows":[`, `1,`, `1]}`),
		"long rows":     fill(`{"rows":[`, `{"email":"`+strings.Repeat("x", 500)+`","full_name":"`+strings.Repeat("x", 300)+`"},`, `{}]}`),
		"escapes":       fill(`{"rows":[`, `{"email":"`+strings.Repeat(`\u0061`, 120)+`"},`, `{}]}`),
		"table":         fill("email,full_name\n", strings.Repeat("x", 400)+","+strings.Repeat("x", 400)+"\n", ""),
		"commas":        fill("email\n", ",", ""),
		"quoted":        fill("email\n\"", ",", "\"\n"),
		"lines":         fill("email\n", " \n", "a\n"),
		"short lines":   fill("email\n", "a\n", ""),
		"one line":      fill("email\n", "a", ""),
		"euros":         fill("email,x\n", strings.Repeat("\x80", 260)+"\n", ""),
		"wide":          fill("\xff\xfee\x00m\x00a\x00i\x00l\x00\n\x00", "\xac\x20", "\n\x00"),
	} {
		e := echo.New()
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set(echo.HeaderContentType, mimeCSV)
		if strings.HasPrefix(body, "{") {
			r.Header.Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
		}
		setBody(r, []byte(body))
		r = asInviter(r)
		c := e.NewContext(r, httptest.NewRecorder())
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		n := 0
		memory := newBulkMemory()
		err := memory.admit(memory.readRows(func(c echo.Context) error {
			n = len(bulkRequestOf(c.Request().Context()).rows)
			return nil
		}))(c)
		runtime.ReadMemStats(&after)
		times := float64(after.TotalAlloc-before.TotalAlloc) / float64(len(body))
		t.Logf("%s: %.1f times its %d bytes, %d rows, %.80v", name, times, len(body), n, err)
		require.Less(t, times, 25.0, name) // one row at a time, where it is more than 8
	}
}

// asInviter returns a request of somebody who may invite.
func asInviter(r *http.Request) *http.Request {
	staff := directory.Actor{User: directory.User{UUID: uuid.New(), IsStaff: true}}
	return r.WithContext(context.WithValue(r.Context(), callerKey{}, &staff))
}

func TestRowsHoldTheirRoom(t *testing.T) {
	t.Parallel()
	memory := newBulkMemory()
	send := func(body string, next echo.HandlerFunc) error {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
		setBody(r, []byte(body))
		r = asInviter(r)
		return memory.admit(memory.readRows(next))(echo.New().NewContext(r, httptest.NewRecorder()))
	}
	err := send(`{"rows": [{}, {}]}`, func(c echo.Context) error {
		require.Len(t, bulkRequestOf(c.Request().Context()).rows, 2)
		require.False(t, memory.rows.TryAcquire(bulkRows-1))
		require.True(t, memory.rows.TryAcquire(bulkRows-2))
		memory.rows.Release(bulkRows - 2)
		return fmt.Errorf("handled")
	})
	require.EqualError(t, err, "handled")
	require.Error(t, send(`{"rows": [`, nil))
	require.True(t, memory.rows.TryAcquire(bulkRows))
}

// A decoder of rows never panics, and says about rows what one that decodes everything says.
func FuzzReadBulkJSON(f *testing.F) {
	for _, seed := range []string{`{"rows": [{"email": "a"}], "defaults": {"role": "b"}}`, `{"rows": [1, null, {"email": {}}]}`, `{"rows":[{"a":1,"a":2}]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		sent := bytes.Clone(body)
		rows, err := readBulkJSON(body, bulk.Row{})
		require.Equal(t, sent, body)
		if err != nil {
			require.True(t, fault.Is(err, fault.KindInvalid), "%v", err)
			return
		}
		require.NotEmpty(t, rows)
		for _, row := range rows {
			row.Check()
		}
	})
}
