package invite

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows how many rows are done.
type progress interface {
	set(done int)
	end()
}

// newProgress returns a bar where to is a terminal, and lines otherwise.
func newProgress(to io.Writer, total int) progress {
	if file, ok := to.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return bar{progressbar.NewOptions(total, progressbar.OptionSetWriter(to), progressbar.OptionSetDescription("Inviting"),
			progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish())}
	}
	return &lines{to: to, total: total}
}

type bar struct{ *progressbar.ProgressBar }

func (b bar) set(done int) { _ = b.Set(done) } // a terminal that is gone shows nothing
func (b bar) end()         { _ = b.Clear() }

// lineInterval is the time between two lines.
const lineInterval = 5 * time.Second

type lines struct {
	to    io.Writer
	total int
	last  time.Time
}

func (l *lines) set(done int) {
	if now := time.Now(); now.Sub(l.last) >= lineInterval {
		l.last = now
		fmt.Fprintf(l.to, "%d of %d rows are done\n", done, l.total)
	}
}

func (l *lines) end() {}
