package mail

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func newFolder(t *testing.T) *Folder {
	t.Helper()
	f, err := NewFolder(filepath.Join(t.TempDir(), "data", "mail"), fromHeader)
	require.NoError(t, err)
	return f
}

func listFiles(t *testing.T, f *Folder) []string {
	t.Helper()
	entries, err := os.ReadDir(f.dir)
	require.NoError(t, err)
	var files []string
	for _, entry := range entries {
		files = append(files, entry.Name())
	}
	return files
}

func TestFolder(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	require.Empty(t, listFiles(t, f), "NewFolder removes its test file")
	info, err := os.Stat(f.dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())

	m := render(t, InvitationCreated, testInvitation())
	require.NoError(t, f.Send(t.Context(), m))
	require.NoError(t, f.Send(t.Context(), m), "a second attempt replaces the first")
	written := listFiles(t, f)
	require.Len(t, written, 1)
	require.Regexp(t, `^20261123T093000\.000Z-1\.created_example\.com-[0-9a-f]{8}\.eml$`, written[0])
	path := filepath.Join(f.dir, written[0])
	info, err = os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	checkWire(t, raw, m)

	later := m
	later.Date = m.Date.Add(time.Millisecond)
	later.ID = "0" + m.ID
	require.NoError(t, f.Send(t.Context(), later))
	require.Equal(t, written[0], listFiles(t, f)[0], "names sort by date")
	require.Len(t, listFiles(t, f), 2)
}

func TestFileNames(t *testing.T) {
	t.Parallel()
	seen := make(map[string]string)
	for _, id := range []string{
		"a@x", "A@x", "a_x", "a/x", `a\x`, "../../a@x", "a:b|c?*<>\"@x", strings.Repeat("a", 300) + "@x",
		strings.Repeat("a", 300) + "@y", "con@x", "é@x", "a\x00@x",
	} {
		name := fileName(Message{ID: id, Date: sentAt})
		require.Regexp(t, `^[0-9TZ.]+-[A-Za-z0-9._-]+\.eml$`, name)
		require.Less(t, len(name), 120)
		require.NotContains(t, seen, strings.ToLower(name))
		seen[strings.ToLower(name)] = id
	}
}

// The test reads a file that is replaced all the time.
func TestFolderNeverShowsAnIncompleteFile(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	m := render(t, InvitationCreated, testInvitation())
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 20 {
				if err := f.Send(context.Background(), m); err != nil {
					t.Error(err)
				}
			}
		})
	}
	t.Cleanup(wg.Wait)
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		raw, err := os.ReadFile(filepath.Join(f.dir, fileName(m)))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		require.NoError(t, err)
		require.True(t, bytes.HasSuffix(raw, []byte("--\r\n")))
	}
	require.Len(t, listFiles(t, f), 1)
}

func TestFolderFailures(t *testing.T) {
	t.Parallel()
	_, err := NewFolder(t.TempDir(), "nobody")
	require.ErrorContains(t, err, "the sender of mails")
	_, err = NewFolder("", fromHeader)
	require.ErrorContains(t, err, "mail folder")
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = NewFolder(filepath.Join(file, "mail"), fromHeader)
	require.ErrorContains(t, err, "can't be written to")

	f := newFolder(t)
	m := render(t, InvitationCreated, testInvitation())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	failure := checkFailure(t, f.Send(ctx, m))
	require.False(t, failure.Final || failure.Operator)
	require.ErrorIs(t, failure, context.Canceled)

	require.NoError(t, os.RemoveAll(f.dir))
	require.NoError(t, f.Send(t.Context(), m), "a folder that was removed is created again")
	require.NoError(t, os.RemoveAll(f.dir))
	require.NoError(t, os.WriteFile(f.dir, nil, 0o600))
	failure = checkFailure(t, f.Send(t.Context(), m))
	require.True(t, failure.Operator)
	require.NotContains(t, failure.Reason, f.dir)

	m.To = "Bob <bob@example.org>"
	require.True(t, checkFailure(t, f.Send(t.Context(), m)).Final)
}
