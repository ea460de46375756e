// Package person is about what is kept of one person, whom an e-mail address names: it writes it down ([Service.Export]), and
// erases it ([Service.Erase]).
//
// What is kept where, and what becomes of it, the store says: it lists every column of every table, and a test holds that a
// column that a migration adds is in the list. This package decides who the person is, in which order things are erased, and
// how an address is recognized in a text ([Address]).
//
// # Who is erased
//
// The invitee of the invitations to the address, and the users with the address. Where the address stands elsewhere, as in a
// text that somebody wrote or in the username of a user with another address, that text alone is changed.
//
// # The order
//
// Erase goes in many small transactions, and a process that is killed leaves a part. So what finds the rest goes last: a user
// keeps the address until nothing else has it, and Erase that runs again completes the work. What stands for the address
// afterwards is computed from the row, so that it is the same each time, and never from the address.
package person
