package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// ReadOther runs f in a transaction of the PostgreSQL database of another program, which reads everything as of one moment and
// can't write. The address is a connection URL; what it leaves out comes from the PG variables and files of libpq. ReadOther
// returns an error without having called f where the database can't be reached, and the error of f otherwise.
func ReadOther(ctx context.Context, address string, f func(*sql.Tx) error) (err error) {
	config, err := pgx.ParseConfig(address)
	if err != nil {
		// The library's error repeats the URL with its password.
		return errors.New("the database URL can't be read; it looks like postgres://user:password@host:5432/name")
	}
	config.ConnectTimeout = 10 * time.Second
	config.RuntimeParams["timezone"] = "UTC"
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "invited"
	}
	pool := stdlib.OpenDB(*config)
	defer func() { err = errors.Join(err, pool.Close()) }()
	tx, err := pool.BeginTx(ctx, postgresEngine{}.snapshot())
	if err != nil {
		return fmt.Errorf("the database can't be reached: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // nothing was written
	return f(tx)
}
