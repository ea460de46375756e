package dirfile_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/database"
	"invited/internal/directory"
	"invited/internal/directory/dirfile"
	"invited/internal/store"
	"invited/internal/storetest"
)

// BenchmarkLarge applies a file to an empty database, applies it again, and exports the database. The file has 100,000
// users with a token each, 5,000 customers with a project each, and 100,000 memberships. The benchmark reports the peak
// memory of the process, for which only one engine must run:
//
//	go run ./internal/storetest/withpostgres -- \
//		go test ./internal/directory/dirfile -run '^$' -bench Large/postgres -benchtime 1x
func BenchmarkLarge(b *testing.B) {
	for name, options := range map[string]func(testing.TB) database.Options{"sqlite": largeSQLite, "postgres": largePostgres} {
		b.Run(name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "large.yaml")
			writeLarge(b, path, 100_000, 5_000)
			for b.Loop() {
				s := openLarge(b, options(b))
				before := b.Elapsed()
				file := decodeFile(b, path)
				b.ReportMetric((b.Elapsed() - before).Seconds(), "s/decode")
				b.ReportMetric(peakMB(), "MB-decode")
				before = b.Elapsed()
				report, err := dirfile.Apply(context.Background(), s, file, nil)
				require.NoError(b, err)
				require.Equal(b, 100_000, report.Memberships.Created)
				b.ReportMetric((b.Elapsed() - before).Seconds(), "s/apply")
				b.ReportMetric(peakMB(), "MB-apply")
				before = b.Elapsed()
				report, err = dirfile.Apply(context.Background(), s, file, nil)
				require.NoError(b, err)
				require.Equal(b, 100_000, report.Memberships.Unchanged)
				b.ReportMetric((b.Elapsed() - before).Seconds(), "s/again")
				before = b.Elapsed()
				require.NoError(b, dirfile.Export(context.Background(), s, io.Discard))
				b.ReportMetric((b.Elapsed() - before).Seconds(), "s/export")
				b.ReportMetric(peakMB(), "MB-all")
			}
		})
	}
}

func openLarge(b *testing.B, options database.Options) directory.FileStore {
	b.Helper()
	db, err := store.Open(options)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, db.Close()) })
	_, err = db.Migrate(context.Background())
	require.NoError(b, err)
	return db.FileStore()
}

func largeSQLite(t testing.TB) database.Options {
	t.Helper()
	return database.Options{SQLite: filepath.Join(t.TempDir(), "invited.db")}
}

func largePostgres(t testing.TB) database.Options {
	t.Helper()
	address, err := url.Parse(os.Getenv(storetest.PostgresURL))
	require.NoError(t, err)
	server, err := sql.Open("pgx", address.String())
	require.NoError(t, err)
	name := fmt.Sprintf("invited_large_%d_%d", os.Getpid(), time.Now().UnixNano())
	_, err = server.Exec("CREATE DATABASE " + name)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := server.Exec("DROP DATABASE " + name + " WITH (FORCE)")
		require.NoError(t, err)
		require.NoError(t, server.Close())
	})
	address.Path = "/" + name
	return database.Options{Postgres: address.String()}
}

func decodeFile(t testing.TB, path string) *dirfile.File {
	t.Helper()
	in, err := os.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, in.Close()) }()
	file, err := dirfile.Decode(in)
	require.NoError(t, err)
	return file
}

// writeLarge writes a directory file. Each user is a member of one customer or of the customer's project.
func writeLarge(t testing.TB, path string, users, customers int) {
	t.Helper()
	out, err := os.Create(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, out.Close()) }()
	w := bufio.NewWriter(out)
	write := func(format string, arguments ...any) {
		_, err := fmt.Fprintf(w, format, arguments...)
		require.NoError(t, err)
	}
	write("roles:\n- {name: CUSTOMER.OWNER, scope_type: customer, permissions: [INVITATION.LIST]}\n")
	write("- {name: PROJECT.ADMIN, scope_type: project}\nusers:\n")
	for i := range users {
		write("- username: user%06d\n  email: user%06d@example.com\n  full_name: Person Number %d\n"+
			"  tokens: [token-of-user-%06d]\n", i, i, i, i)
	}
	write("customers:\n")
	each := users / customers
	for i := range customers {
		write("- name: Customer %d\n  description: Organization number %d\n  user_email_patterns: ['.*@example\\.com']\n"+
			"  members:\n", i, i)
		for j := range each / 2 {
			write("  - {user: user%06d, role: CUSTOMER.OWNER}\n", i*each+j)
		}
		write("  projects:\n  - name: Project %d\n    members:\n", i)
		for j := each / 2; j < each; j++ {
			write("    - {user: user%06d, role: PROJECT.ADMIN}\n", i*each+j)
		}
	}
	require.NoError(t, w.Flush())
}

// peakMB returns the peak resident memory of this process in megabytes, and 0 when the system does not report it.
func peakMB() float64 {
	status, _ := os.ReadFile("/proc/self/status")
	var kilobytes float64
	if _, after, found := strings.Cut(string(status), "VmHWM:"); found {
		_, _ = fmt.Sscan(after, &kilobytes)
	}
	return kilobytes / 1024
}
