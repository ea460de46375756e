package postgres

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestNewestFirst(t *testing.T) {
	t.Parallel()

	got := newestFirst([]string{"/usr/lib/postgresql/9.6/bin", "/usr/lib/postgresql/13/bin", "/usr/lib/postgresql/15/bin"})
	assert.Equal(t, []string{"/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/13/bin", "/usr/lib/postgresql/9.6/bin"}, got)
}
