// Package storetest gives tests real databases: a fresh, migrated one for each, on either engine, and a clock to
// move. Only tests import it.
package storetest
