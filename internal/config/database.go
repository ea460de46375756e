package config

import (
	"errors"
	"net/url"
	"strings"
)

// An Engine is a kind of database.
type Engine string

// The engines.
const (
	SQLite   Engine = "sqlite"
	Postgres Engine = "postgres"
)

// Database is the database to open.
type Database struct {
	Engine Engine
	Path   string // of the file; SQLite only
	DSN    Secret // the whole URL; Postgres only
}

// String returns the URL of the database without its credentials; "" for the zero Database.
func (d Database) String() string {
	if d.Engine == "" {
		return ""
	}
	if d.Engine == SQLite {
		return "sqlite://" + d.Path
	}
	u, err := url.Parse(d.DSN.Reveal())
	if err != nil {
		return string(d.Engine)
	}
	return "postgres://" + u.Host + u.Path
}

func parseDatabase(v string) (Database, error) {
	scheme, rest, _ := strings.Cut(v, "://")
	switch scheme {
	case "sqlite":
		// SQLite would read these characters as options and escapes. The server sets its own options.
		if rest == "" || strings.HasSuffix(rest, "/") || strings.ContainsAny(rest, "?#%") {
			return Database{}, errors.New("sqlite:// must be followed by the path of a file, without any of ?, # and %")
		}
		if strings.Contains(rest, ":memory:") {
			return Database{}, errors.New("each connection would have a database of its own in memory: name a file, such as sqlite://data/invited.db")
		}
		return Database{Engine: SQLite, Path: rest}, nil
	case "postgres", "postgresql":
		if _, err := url.Parse(v); err != nil {
			return Database{}, errors.New("not a valid URL; " + escapeHint)
		}
		return Database{Engine: Postgres, DSN: Secret(v)}, nil
	default:
		return Database{}, errors.New("neither sqlite://PATH nor postgres://USER:PASSWORD@HOST:PORT/DATABASE")
	}
}
