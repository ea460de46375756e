// Package mail renders mails about invitations, and sends them over SMTP or writes them into a folder.
//
// It owns:
//   - the templates, and how an operator replaces them ([Renderer]);
//   - the rule that nothing a user typed becomes a header, a recipient or markup;
//   - the message on the wire (RFC 5322 and MIME, [Message]);
//   - the connections to the mail server ([SMTP]);
//   - the classification of failures: one may pass, one is final, one has to be fixed by the operator
//     ([delivery.Failure]).
//
// It does not own when a mail is due, who gets it, when a failed one is sent again, or where its state is stored. It
// does not know the environment variables behind its settings.
//
// A mail of kind K is rendered from templates/K.txt.tmpl, which also defines its "subject", and templates/K.html.tmpl.
// The blocks that mails share are in layout.txt.tmpl and layout.html.tmpl. A file of the same name in the operator's
// folder replaces any of them. Templates can use the fields and methods of [Invitation].
package mail
