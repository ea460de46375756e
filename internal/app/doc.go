// Package app is the program: it has the commands, puts the server together from the other packages, serves, and shuts
// down in order. It knows no rule about invitations, no SQL and no HTTP route.
//
// Main runs one command in the process of the operating system. Process runs one with given streams and a given
// environment. App is the program while it serves: tests start one on port 0 and close it.
package app
