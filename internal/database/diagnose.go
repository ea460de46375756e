package database

import (
	"context"
)

// A Diagnosis describes a database to an operator.
type Diagnosis struct {
	Version  string             // of the engine, with its name
	Damage   string             // of a SQLite file; "" where its pages do not contradict each other
	Postgres *PostgresDiagnosis // nil on SQLite
}

// A PostgresDiagnosis describes a PostgreSQL server to an operator, as the role of this program sees it.
type PostgresDiagnosis struct {
	HasTrigrams    bool // the extension pg_trgm is there
	MayCreate      bool // the role may create tables in the schema
	IsSuperuser    bool
	Foreign        int  // tables of the schema whose owner's rights the role does not have
	IsRemote       bool // the server is on another machine
	IsEncrypted    bool
	MaxConnections int // of the server
	Reserved       int // of them, those for superusers
	Connections    int // that are open
	Pools          int // that this program may open in one process
}

// Diagnose examines the database. It changes nothing, and reads the whole file of a SQLite database.
func (db *DB) Diagnose(ctx context.Context) (d Diagnosis, err error) {
	session := db.reader.WithContext(ctx)
	if !db.IsPostgres() {
		err := session.Raw("SELECT 'SQLite ' || sqlite_version()").Row().Scan(&d.Version)
		if err == nil {
			err = session.Raw("PRAGMA quick_check(1)").Row().Scan(&d.Damage)
		}
		if isDamage(err) {
			d.Damage, err = err.Error(), nil
		} else if d.Damage == "ok" {
			d.Damage = ""
		}
		return d, translate(db.engine, err)
	}
	p := &PostgresDiagnosis{}
	err = session.Raw("SELECT 'PostgreSQL ' || current_setting('server_version'),"+
		" EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm'),"+
		" COALESCE(has_schema_privilege(current_schema(), 'CREATE'), FALSE),"+
		" (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),"+
		" (SELECT count(*) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"+
		" WHERE nspname = current_schema() AND relkind IN ('r', 'p') AND NOT pg_has_role(relowner, 'USAGE')),"+
		" COALESCE(inet_server_addr() <> inet_client_addr(), FALSE),"+
		" COALESCE((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), FALSE),"+
		" CAST(current_setting('max_connections') AS integer),"+
		" CAST(current_setting('superuser_reserved_connections') AS integer),"+
		" CAST((SELECT sum(numbackends) FROM pg_stat_database) AS integer)").Row().
		Scan(&d.Version, &p.HasTrigrams, &p.MayCreate, &p.IsSuperuser, &p.Foreign, &p.IsRemote, &p.IsEncrypted,
			&p.MaxConnections, &p.Reserved, &p.Connections)
	for _, pool := range db.PoolUses() {
		p.Pools += pool.Max
	}
	d.Postgres = p
	return d, translate(db.engine, err)
}
