package store

import (
	"context"
	"database/sql"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"
)

// prepared are the statements of a SQLite pool that were run last, kept prepared: to prepare one takes SQLite as long as to
// run it. PostgreSQL's driver keeps its own.
type prepared struct {
	pool *sql.DB
	// Held by who runs a statement, so that none is closed meanwhile.
	mu    sync.RWMutex
	texts *lru.Cache[string, *sql.Stmt]
}

func newPrepared(pool *sql.DB) (*prepared, error) {
	texts, err := lru.NewWithEvict(statementsKept, func(_ string, s *sql.Stmt) { _ = s.Close() })
	return &prepared{pool: pool, texts: texts}, err
}

func (p *prepared) query(ctx context.Context, text string, arguments []any) (*sql.Rows, error) {
	rows, kept, err := p.run(ctx, text, arguments)
	if kept {
		return rows, err
	}
	if err := p.prepare(ctx, text); err != nil {
		return nil, err
	}
	if rows, kept, err = p.run(ctx, text, arguments); kept {
		return rows, err
	}
	return p.pool.QueryContext(ctx, text, arguments...) // others have pushed it out
}

// run runs a statement, if it is kept.
func (p *prepared) run(ctx context.Context, text string, arguments []any) (rows *sql.Rows, kept bool, err error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	found, kept := p.texts.Get(text) //nolint:sqlclosecheck // newPrepared has it closed when it is pushed out
	if kept {
		rows, err = found.QueryContext(ctx, arguments...) //nolint:sqlclosecheck // sqlExecutor.query closes them
	}
	return rows, kept, err
}

func (p *prepared) prepare(ctx context.Context, text string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.texts.Contains(text) {
		return nil
	}
	made, err := p.pool.PrepareContext(ctx, text)
	if err == nil {
		p.texts.Add(text, made)
	}
	return err
}
