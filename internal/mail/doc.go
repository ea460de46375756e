// Package mail turns a named mail and a typed value into a message, and hands
// the message to a mail server or writes it into a folder.
//
// It owns the templates and how an operator replaces them, the rule that
// nothing a user typed becomes a header, a recipient or markup, the form of the
// message on the wire, the connections to the mail server, and the difference
// between a failure that may pass, one that won't, and one that the operator has
// to mend ([delivery.Failure]).
//
// A mail of kind K is made from templates/K.txt.tmpl, which also defines its
// "subject", and templates/K.html.tmpl, each on top of layout.txt.tmpl and
// layout.html.tmpl. An operator's file of the same name takes the place of any
// of them. What templates can say is the fields and methods of [Invitation].
//
// It doesn't own when a mail is due, to whom, how often a failed one is tried
// again, or where its state is kept; and it knows nothing of the environment
// variables its settings come from.
package mail
