// Package metrics counts what a server does, and shows the counts in the format of Prometheus. Every process counts its own requests
// and jobs; the queue and the invitations are those of the whole database. No label has a value that a caller chooses.
package metrics
