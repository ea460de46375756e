// Package systemtest tests the built program as processes: they are killed, stopped and cut off from the database, the mail
// server and the webhook; they run as replicas, behind gateways and behind PgBouncer, as the Helm chart starts them, and on a
// bare Debian by the commands of docs/production.md; and they are used from a browser. It has nothing but tests. The package
// harness starts the processes.
package systemtest
