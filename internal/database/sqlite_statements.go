package database

import (
	"context"
	"database/sql/driver"
	"errors"

	sqlite "github.com/ncruces/go-sqlite3/driver"
)

// maxCompiled is the number of compiled statements that a connection to SQLite keeps, of some 12 kB each.
const maxCompiled = 256

// compiledOnce opens connections that keep their compiled statements, as connections to PostgreSQL do. database/sql compiles a
// statement each time, and SQLite takes about as long for that as for running it. GORM's PrepareStmt keeps none of a transaction.
type compiledOnce struct{ driver.Connector }

// Connect implements driver.Connector.
func (c compiledOnce) Connect(ctx context.Context) (driver.Conn, error) {
	opened, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if conn, ok := opened.(sqliteConn); ok {
		return &compilingConn{conn, map[string]sqliteStatement{}}, nil
	}
	return opened, nil // of a driver that we do not know, and so without its statements
}

// sqliteConn and sqliteStatement have all that database/sql asks the driver for.
type (
	sqliteConn interface {
		sqlite.Conn
		driver.ExecerContext
		driver.NamedValueChecker
	}
	sqliteStatement interface {
		driver.Stmt
		driver.StmtExecContext
		driver.StmtQueryContext
		driver.NamedValueChecker
	}
)

// compilingConn is a connection with the statements that nobody uses at the moment, by their text. A connection has one user at a
// time, so nothing locks it.
type compilingConn struct {
	sqliteConn
	idle map[string]sqliteStatement
}

// PrepareContext implements driver.ConnPrepareContext.
func (c *compilingConn) PrepareContext(ctx context.Context, text string) (driver.Stmt, error) {
	statement, ok := c.idle[text]
	if ok {
		delete(c.idle, text)
	} else {
		compiled, err := c.sqliteConn.PrepareContext(ctx, text)
		if err != nil {
			return nil, err
		}
		if statement, ok = compiled.(sqliteStatement); !ok {
			return compiled, nil
		}
	}
	return compiledStatement{statement, c, text}, nil
}

// Prepare implements driver.Conn.
func (c *compilingConn) Prepare(text string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), text)
}

// Close implements driver.Conn.
func (c *compilingConn) Close() error {
	var failures []error
	for _, statement := range c.idle {
		failures = append(failures, statement.Close())
	}
	clear(c.idle)
	return errors.Join(append(failures, c.sqliteConn.Close())...)
}

// keep keeps a statement that is no longer used. Where there are too many, one of the others goes, whichever.
func (c *compilingConn) keep(text string, statement sqliteStatement) error {
	if _, ok := c.idle[text]; ok { // two were in use at once
		return statement.Close()
	}
	var failure error
	for other, closed := range c.idle {
		if len(c.idle) < maxCompiled {
			break
		}
		delete(c.idle, other)
		failure = closed.Close()
	}
	c.idle[text] = statement
	return failure
}

// compiledStatement goes back to its connection when it is closed.
type compiledStatement struct {
	sqliteStatement
	conn *compilingConn
	text string
}

// Close implements driver.Stmt.
func (s compiledStatement) Close() error { return s.conn.keep(s.text, s.sqliteStatement) }
