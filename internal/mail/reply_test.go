package mail

import (
	"net/textproto"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"invited/internal/delivery"
)

// verdict is how a reply is treated.
type verdict string

const (
	finalAddress verdict = "final: the address"
	finalContent verdict = "final: the content"
	operators    verdict = "the operator's"          // kept, tried again, and /readyz is degraded
	slower       verdict = "kept: slow down"         // the route slows down
	limits       verdict = "the operator's: a limit" // both
	kept         verdict = "kept"                    // tried again
)

func verdictOf(f *delivery.Failure) verdict {
	switch {
	case f.Final && strings.Contains(f.Reason, "refused the address"):
		return finalAddress
	case f.Final:
		return finalContent
	case f.Operator && f.Throttled:
		return limits
	case f.Operator:
		return operators
	case f.Throttled:
		return slower
	default:
		return kept
	}
}

// replies are replies as servers send them, with what becomes of the mail. Names and addresses are replaced.
var replies = []struct {
	server string
	at     stage
	reply  string
	want   verdict
}{
	{"Postfix", stageRcpt, "504 5.5.2 <vm>: Helo command rejected: need fully-qualified hostname", operators},
	{"Postfix", stageRcpt, "450 4.7.1 <vm.local>: Helo command rejected: Host not found", operators},
	{"Postfix", stageRcpt, "553 5.7.1 <a@b.example>: Sender address rejected: not owned by user c@d.example", operators},
	{"Postfix", stageRcpt, "553 5.7.1 <a@b.example>: Sender address rejected: not logged in", operators},
	{"Postfix", stageRcpt, "450 4.1.8 <a@b.example>: Sender address rejected: Domain not found", operators},
	{"Postfix", stageRcpt, "550 5.1.0 <a@b.example>: Sender address rejected: User unknown in local recipient table", operators},
	{"Postfix", stageRcpt, "504 5.5.2 <a@vm>: Sender address rejected: need fully-qualified address", operators},
	{"Postfix", stageRcpt, "554 5.7.1 <bob@example.org>: Relay access denied", operators},
	{"Postfix", stageRcpt, "454 4.7.1 <bob@example.org>: Relay access denied", operators},
	{"Postfix", stageRcpt, "554 5.7.1 <bob@example.org>: Recipient address rejected: Relay access denied", operators},
	{"Postfix", stageRcpt, "554 5.7.1 <vm[192.0.2.1]>: Client host rejected: Access denied", operators},
	{"Postfix", stageRcpt, "450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]", operators},
	{"Postfix", stageRcpt, "550 5.7.25 Client host rejected: cannot find your reverse hostname, [192.0.2.1]", operators},
	{"Postfix", stageRcpt, "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using list.example; listed", operators},
	{"Postfix", stageRcpt, "530 5.7.0 Must issue a STARTTLS command first", operators},
	{"Postfix", stageMail, "530 5.7.0 Authentication required", operators},
	{"Postfix", stageAuth, "535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6", operators},
	{"Postfix", stageAuth, "454 4.7.0 Temporary authentication failure: generic failure", kept},
	{"Postfix", stageMail, "450 4.7.1 Error: too much mail from 192.0.2.1", slower},
	{"Postfix", stageGreeting, "421 4.7.0 vm.example Error: too many connections from 192.0.2.1", slower},
	{"Postfix", stageRcpt, "450 Too many requests", slower},
	{"Postfix", stageRcpt, "550 5.1.1 <bob@example.org>: Recipient address rejected: User unknown in virtual mailbox table", finalAddress},
	{"Postfix", stageRcpt, "550 5.1.1 <helo@relay.example>: Recipient address rejected: undeliverable address: unknown user", finalAddress},
	{"Postfix", stageRcpt, "450 4.1.1 <bob@example.org>: Recipient address rejected: unverified address: Address lookup failed", kept},
	{"Postfix", stageRcpt, "550 5.1.2 <bob@nowhere.example>: Recipient address rejected: Domain not found", finalAddress},
	{"Postfix", stageRcpt, "556 5.1.10 <bob@example.org>: Recipient address rejected: Domain example.org does not accept mail (nullMX)", finalAddress},
	{"Postfix", stageRcpt, "554 5.7.1 <bob@example.org>: Recipient address rejected: Access denied", finalAddress},
	{"Postfix", stageRcpt, "450 4.2.0 <bob@example.org>: Recipient address rejected: Greylisted, see http://postgrey.example/", kept},
	{"Postfix", stageRcpt, "452 4.2.2 <bob@example.org>: Mailbox is full", kept},
	{"Postfix", stageRcpt, "552 5.2.2 <bob@example.org>: Mailbox quota exceeded", finalAddress},
	{"Postfix", stageData, "451 4.3.0 Error: queue file write error", kept},
	{"Postfix", stageMail, "452 4.3.1 Insufficient system storage", kept},
	{"Postfix", stageContentReply, "552 5.3.4 Error: message file too big", finalContent},
	{"Postfix", stageContentReply, "550 5.7.1 Message content rejected", finalContent},
	{"Postfix", stageContentReply, "554 5.7.1 Blocked by SpamAssassin", finalContent},
	{"Postfix", stageContentReply, "554 5.7.1 id=7-1, our internal policy", kept},

	{"Exim", stageRcpt, "550 Unrouteable address", finalAddress},
	{"Exim", stageRcpt, "550 No such user here", finalAddress},
	{"Exim", stageRcpt, `550 "Unknown User"`, finalAddress},
	{"Exim", stageRcpt, "550 relay not permitted", operators},
	{"Exim", stageRcpt, "550 authentication required", operators},
	{"Exim", stageRcpt, "550 Sender verify failed", operators},
	{"Exim", stageRcpt, "550-Verification failed for <a@b.example>\nNo Such User Here\nSender verify failed", operators},
	{"Exim", stageRcpt, "550 Access denied - Invalid HELO name (See RFC2821 4.1.1.1)", operators},
	{"Exim", stageRcpt, "550-HELO/EHLO should be a fully qualified domain name", operators},
	{"Exim", stageRcpt, "550 X-Spamhaus: 192.0.2.1 is listed", operators},
	{"Exim", stageRcpt, "550 rejected because 192.0.2.1 is in a black list at list.example", operators},
	{"Exim", stageRcpt, "451 Temporary local problem - please try later", kept},
	{"Exim", stageRcpt, "451 Greylisted, please try again in 60 seconds", kept},
	{"Exim", stageRcpt, "452 bob: mailbox is full", kept},
	{"Exim", stageRcpt, "550 Mailbox quota exceeded", finalAddress},
	{"Exim", stageMail, "452 space shortage, please try later", kept},
	{"Exim", stageMail, "421 vm.example: too many messages in one connection", slower},
	{"Exim", stageGreeting, "421 Too many concurrent SMTP connections from this IP address; please try again later", slower},
	{"Exim", stageContentReply, "550 This message scored 15.1 spam points.", finalContent},
	{"Exim", stageContentReply, "550 This message contains a virus (Eicar).", finalContent},
	{"Exim", stageContentReply, "552 Message size exceeds maximum permitted", finalContent},
	{"Exim", stageContentReply, "550 Administrative prohibition", kept},

	{"Exchange", stageContentReply, "554 5.2.252 SendAsDenied; user@b.example not allowed to send as a@b.example; STOREDRV.Submission.Exception:SendAsDeniedException", operators},
	{"Exchange", stageContentReply, "554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; Failed to process message", operators},
	{"Exchange", stageRcpt, "550 5.2.255 Sender throttled due to continuous invalid recipients errors.", operators},
	{"Exchange", stageContentReply, "550 5.7.60 SMTP; Client does not have permissions to send as this sender", operators},
	{"Exchange", stageRcpt, "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient bob@example.org not found by SMTP address lookup", finalAddress},
	{"Exchange", stageRcpt, "550 5.4.1 Recipient address rejected: Access denied. AS(201806281)", finalAddress},
	{"Exchange", stageRcpt, "550 5.1.8 Access denied, bad outbound sender AS(42004)", operators},
	{"Exchange", stageRcpt, "550 5.1.90 Your message can't be sent because you've reached your daily limit for message recipients", limits},
	{"Exchange", stageRcpt, "530 5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL FROM", operators},
	{"Exchange", stageAuth, "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant", operators},
	{"Exchange", stageRcpt, "550 5.7.64 TenantAttribution; Relay Access Denied", operators},
	{"Exchange", stageRcpt, "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain", operators},
	{"Exchange", stageRcpt, "550 5.7.1 Unable to relay", operators},
	{"Exchange", stageRcpt, "550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP", operators},
	{"Exchange", stageRcpt, "550 5.7.606 Access denied, banned sending IP [192.0.2.1]", operators},
	{"Exchange", stageContentReply, "550 5.7.705 Access denied, tenant has exceeded threshold", limits},
	{"Exchange", stageContentReply, "550 5.7.750 Service unavailable. Client blocked from sending from unregistered domain", operators},
	{"Exchange", stageContentReply, "550 5.7.233 Your message can't be sent because your tenant exceeded its external recipient rate limit", limits},
	{"Exchange", stageRcpt, "550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required", operators},
	{"Exchange", stageRcpt, "550 5.2.121 The recipient's per hour message receive limit from specific senders has been exceeded", kept},
	{"Exchange", stageContentReply, "432 4.3.2 Concurrent connections limit exceeded", slower},
	{"Exchange", stageContentReply, "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", slower},
	{"Exchange", stageContentReply, "432 4.3.2 STOREDRV.Deliver; recipient thread limit exceeded", kept},
	{"Exchange", stageRcpt, "451 4.7.500 Server busy. Please try again later from [192.0.2.1]", slower},
	{"Exchange", stageContentReply, "421 4.4.2 Message submission rate for this client has exceeded the configured limit", slower},
	{"Exchange", stageContentReply, "554 5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException", finalAddress},
	{"Exchange", stageContentReply, "554 5.4.14 Hop count exceeded - possible mail loop", kept},
	{"Exchange", stageContentReply, "550 5.4.310 DNS domain nowhere.example does not exist", finalAddress},

	{"Gmail", stageRcpt, "550 5.4.5 Daily user sending limit exceeded. For more information on Gmail sending limits go to https://support.google.com/a/answer/166852", limits},
	{"Gmail", stageContentReply, "550-5.4.5 Daily user sending limit exceeded.\n5.4.5 https://support.google.com/ - gsmtp", limits},
	{"Gmail", stageRcpt, "550 5.7.1 Daily SMTP relay limit exceeded for customer. gsmtp", limits},
	{"Gmail", stageRcpt, "450 4.2.1 Peak SMTP relay limit exceeded for customer. This is a temporary error. gsmtp", slower},
	{"Gmail", stageRcpt, "450 4.2.1 The user you are trying to contact is receiving mail too quickly. gsmtp", kept},
	{"Gmail", stageRcpt, "450 4.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages", kept},
	{"Gmail", stageGreeting, "421 4.4.5 Server busy, try again later. gsmtp", slower},
	{"Gmail", stageContentReply, "421 4.7.28 Our system has detected an unusual rate of unsolicited mail originating from your IP address", slower},
	{"Gmail", stageRcpt, "550 5.7.28 Our system has detected an unusual rate of unsolicited mail originating from your IP address", limits},
	{"Gmail", stageMail, "530 5.7.0 Authentication Required. gsmtp", operators},
	{"Gmail", stageAuth, "535 5.7.8 Username and Password not accepted. gsmtp", operators},
	{"Gmail", stageMail, "550 5.7.0 Mail relay denied. gsmtp", operators},
	{"Gmail", stageRcpt, "550 5.7.1 Invalid credentials for relay [192.0.2.1]. gsmtp", operators},
	{"Gmail", stageContentReply, "550 5.7.26 Unauthenticated email from b.example is not accepted due to domain's DMARC policy. gsmtp", operators},
	{"Gmail", stageContentReply, "550 5.7.1 Our system has detected that this message is likely unsolicited mail. gsmtp", operators},
	{"Gmail", stageContentReply, "421 4.7.0 This message is suspicious due to the very low reputation of the sending domain. gsmtp", operators},
	{"Gmail", stageContentReply, "552 5.7.0 This message was blocked because its content presents a potential security issue. gsmtp", finalContent},
	{"Gmail", stageRcpt, "550-5.1.1 The email account that you tried to reach does not exist. Please try\n5.1.1 double-checking the recipient's email address for typos or\n5.1.1 unnecessary spaces. gsmtp", finalAddress},
	{"Gmail", stageRcpt, "550 5.2.1 The email account that you tried to reach is disabled. gsmtp", finalAddress},
	{"Gmail", stageRcpt, "552 5.2.2 The email account that you tried to reach is over quota. gsmtp", finalAddress},
	{"Gmail", stageRcpt, "452 4.2.2 The recipient's inbox is out of storage space. gsmtp", kept},
	{"Gmail", stageRcpt, "553 5.1.2 We weren't able to find the recipient domain. gsmtp", finalAddress},
	{"Gmail", stageContentReply, "552 5.3.4 Your message exceeded Google's message size limits. gsmtp", finalContent},
	{"Gmail", stageContentReply, "550 5.7.1 This message violates example.org email policy. - gcdp - gsmtp", kept},

	{"Amazon SES", stageContentReply, "554 Message rejected: Email address is not verified. The following identities failed the check in region EU-WEST-1: bob@example.org", operators},
	{"Amazon SES", stageContentReply, "454 Throttling failure: Maximum sending rate exceeded.", slower},
	{"Amazon SES", stageContentReply, "454 Throttling failure: Daily message quota exceeded.", limits},
	{"Amazon SES", stageGreeting, "421 Too many concurrent SMTP connections", slower},
	{"Amazon SES", stageContentReply, "554 Access denied: User `arn:aws:iam::1:user/ses' is not authorized to perform `ses:SendRawEmail'", operators},
	{"Amazon SES", stageContentReply, "554 Message rejected: Sending suspended for this account.", operators},
	{"Amazon SES", stageContentReply, "554 Message rejected: Sending paused for this account. For more information, please check the inbox", operators},
	{"Amazon SES", stageAuth, "535 Authentication Credentials Invalid", operators},
	{"Amazon SES", stageMail, "530 Authentication required", operators},
	{"Amazon SES", stageMail, "530 Must issue a STARTTLS command first", operators},
	{"Amazon SES", stageContentReply, "451 Temporary service failure", kept},
	{"Amazon SES", stageContentReply, "552 Message is too large.", finalContent},
	{"Amazon SES", stageContentReply, "554 Transaction failed: Invalid domain name: 'exa mple'", finalAddress},
	{"Amazon SES", stageContentReply, "554 Transaction failed", kept},

	{"SendGrid", stageContentReply, "550 The from address does not match a verified Sender Identity. Mail cannot be sent until this error is resolved.", operators},
	{"SendGrid", stageMail, "550 Unauthenticated senders not allowed", operators},
	{"SendGrid", stageAuth, "451 Authentication failed: Maximum credits exceeded", limits},
	{"SendGrid", stageAuth, "535 Authentication failed: Bad username / password", operators},
	{"SendGrid", stageRcpt, "450 too frequent connects from 192.0.2.1, please try again later.", slower},
	{"SendGrid", stageRcpt, "452 Too many recipients received this hour (throttled)", slower},
	{"SendGrid", stageContentReply, "421 Message from (192.0.2.1) temporarily deferred", kept},
	{"SendGrid", stageRcpt, "551 not our customer", finalAddress},
	{"SendGrid", stageRcpt, "553 5.1.2 Invalid recipient", finalAddress},
	{"SendGrid", stageRcpt, "550 Requested action not taken: mailbox unavailable", finalAddress},
	{"SendGrid", stageContentReply, "552 message size exceeds limit", finalContent},

	{"Mailgun", stageContentReply, "550 Domain sandbox1.mailgun.org is not allowed to send: Sandbox subdomains are for test purposes only. Please add your own domain or add the address to authorized recipients", operators},
	{"Mailgun", stageContentReply, "550 5.7.1 Free accounts are for test purposes only. Please upgrade or add the address to your authorized recipients.", operators},
	{"Mailgun", stageContentReply, "550 Domain b.example is not allowed to send: The domain is unverified and requires DNS configuration.", operators},
	{"Mailgun", stageContentReply, "421 4.7.0 Domain b.example is not allowed to send: recipient limit exceeded. Try again after the hour", slower},
	{"Mailgun", stageRcpt, "550 5.7.1 Relaying denied", operators},
	{"Mailgun", stageAuth, "535 5.7.0 Mailgun is not loving your login or password", operators},
	{"Mailgun", stageRcpt, "550 5.1.1 The email account that you tried to reach does not exist.", finalAddress},
	{"Mailgun", stageRcpt, "550 5.1.3 Invalid address", finalAddress},
	{"Mailgun", stageContentReply, "421 4.3.0 Temporary System Problem. Try again later", kept},

	{"Postmark", stageContentReply, "550 5.7.1 Invalid 'From' address: the Sender signature was not found", operators},
	{"Postmark", stageContentReply, "550 5.7.1 Sender signature not confirmed", operators},
	{"Postmark", stageAuth, "535 5.7.8 Authentication failed", operators},
	{"Postmark", stageContentReply, "550 5.7.1 You tried to send to a recipient that has been marked as inactive. Found inactive addresses: bob@example.org.", finalAddress},
	{"Postmark", stageContentReply, "450 4.7.1 Rate limit exceeded", slower},
	{"Postmark", stageContentReply, "550 5.7.1 Not allowed to send: you ran out of credits", operators},
	{"Postmark", stageContentReply, "552 5.3.4 Message too large", finalContent},

	{"passed on", stageRcpt, "550 mx.example.org response was: rate limit exceeded", kept},
	{"passed on", stageRcpt, "550 Host mx.example.org SAID: daily limit exceeded", kept},
	{"passed on", stageRcpt, "550 5.7.1 mx.example.org said: your account is suspended", kept},
	{"passed on", stageRcpt, "550 5.7.0 mx.example.org said: 530 authentication required", kept},
	{"passed on", stageRcpt, "450 Recipient callout failed: 450 too many messages", kept},
	{"passed on", stageRcpt, "550-Callout verification failed:\n550-Response: 554 client host blocked using list.example", kept},
	{"passed on", stageRcpt, "550-Callout verification failed:\n550-Response: 550 no such user", finalAddress},
	{"passed on", stageRcpt, "450 Temporary failure while verifying the recipient: 450 relay access denied", kept},
	{"passed on", stageRcpt, "550 5.7.1 <bob@example.org>: Recipient address rejected: undeliverable address: host mx.example.org said: 550 your IP is in a black list", kept},
	{"passed on", stageContentReply, "550 mx.example.org said: 550 this message contains a virus", finalContent},
	{"passed on", stageRcpt, "554 5.7.1 Relay access denied; mx.example.org said: nothing", operators},
	{"passed on", stageRcpt, "450 Too many requests; mx.example.org said: nothing", slower},
	{"passed on", stageMail, "550 the policy service said: sender not allowed", operators},
	{"other", stageRcpt, "550 sorry, no mailbox here by that name. (#5.1.1)", finalAddress},
	{"other", stageRcpt, "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", kept},
	{"other", stageRcpt, "550 5.7.1 <bob@example.org>... Relaying denied", operators},
	{"other", stageRcpt, "501 5.1.8 Domain of sender address a@b.example does not exist", operators},
	{"other", stageRcpt, "550 5.1.0 From address not allowed", operators},
	{"other", stageMail, "452 4.4.5 Messages per second limit exceeded", slower},
	{"other", stageMail, "452 4.5.3 Daily message limit exceeded", limits},
	{"other", stageRcpt, "554 5.7.1 your tone displeases us", kept},
	{"other", stageRcpt, "554 ", kept},
	{"other", stageRcpt, "550 5.7.17 Mailbox owner has changed", finalAddress},
	{"other", stageContentReply, "550 5.6.0 Lone CR or LF in headers", finalContent},
}

// parseReply parses a reply as net/textproto does: the lines after the first one have no code.
func parseReply(t testing.TB, s string) *textproto.Error {
	t.Helper()
	code, err := strconv.Atoi(s[:3])
	require.NoError(t, err)
	return &textproto.Error{Code: code, Msg: s[4:]}
}

func TestRepliesOfServers(t *testing.T) {
	t.Parallel()
	for _, each := range replies {
		failure := checkFailure(t, smtpFailure(t.Context(), each.at, "bob@example.org", parseReply(t, each.reply)))
		assert.Equal(t, each.want, verdictOf(failure), "%s: %s: %s", each.server, each.reply, failure.Reason)
		if each.want == operators && each.at >= stageRcpt {
			require.False(t, failure.Blocked, "one recipient's server stops no other mail")
		}
	}
}

// A name of the recipient or of a host is never taken for the server's words, and an enhanced status code that decides
// wins over all of them.
func TestNamesInReplies(t *testing.T) {
	t.Parallel()
	for _, word := range []string{
		"relay", "helo", "spf", "quota.exceeded", "too-many-requests", "throttling", "greylisted", "banned", "reputation", "virus", "blacklist",
		"rate-limit", "sendas", "dmarc", "not-verified", "user-unknown", "no-such-user", "full", "user", "mailbox", "account",
	} {
		for template, want := range map[string]verdict{
			"550 5.1.1 <NAME@example.org>: Recipient address rejected": finalAddress,
			"550 5.1.1 NAME is not here":                               finalAddress, // the code wins
			"550 No such user: NAME@example.org":                       finalAddress,
			"550 No such user: 'NAME'":                                 finalAddress,
			"550 No such user (NAME)":                                  finalAddress,
			"550 NAME: no such user at NAME.example":                   finalAddress,
			"550 User unknown":                                         finalAddress,
			"550 Mailbox unavailable":                                  finalAddress,
			"550 No such account here":                                 finalAddress,
			"553 5.7.23 NAME@example.org: SPF":                         operators,
			"451 4.3.0 NAME@example.org deferred":                      kept,
			"554 5.7.1 <NAME@NAME.example>: no":                        kept,
			"554 5.7.1 NAME.example: no":                               kept,
			"450 Too many requests for NAME@example.org":               slower,
		} {
			text := strings.ReplaceAll(template, "NAME", word)
			failure := checkFailure(t, smtpFailure(t.Context(), stageRcpt, word+"@example.org", parseReply(t, text)))
			require.Equal(t, want, verdictOf(failure), text)
		}
	}
}

// A recipient's server can cause a reply about rate at RCPT and later, but for 421, with which the mail server ends the
// connection.
func TestWhoseRate(t *testing.T) {
	t.Parallel()
	for _, at := range []stage{stageGreeting, stageAuth, stageMail, stageRcpt, stageData, stageContentReply} {
		for reply, byRecipient := range map[string]bool{
			"450 too many messages": at >= stageRcpt, "550 daily limit exceeded": at >= stageRcpt, "421 too many messages": false,
		} {
			failure := checkFailure(t, smtpFailure(t.Context(), at, "bob@example.org", parseReply(t, reply)))
			require.True(t, failure.Throttled)
			require.Equal(t, byRecipient, failure.Recipient, "%d: %s", at, reply)
		}
	}
}

// A reply of any length is read only at its beginning and its end.
func TestLongReplies(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("many words ", 1<<20/11)
	token := strings.Repeat("t0k-", 1<<18)
	for reply, want := range map[string]verdict{
		"550 5.1.1 " + long:                   finalAddress,
		"550 " + long + "(#5.1.1)":            finalAddress,
		"550 no such user " + long:            finalAddress,
		"550 " + long + "no such user" + long: kept,
		"450 too many messages " + token:      slower,
	} {
		err := parseReply(t, reply)
		require.LessOrEqual(t, len(replyOf(err).Msg), maxReplyText+replyTextEnd)
		failure := checkFailure(t, smtpFailure(t.Context(), stageRcpt, "bob@example.org", err))
		require.Equal(t, want, verdictOf(failure), "%.30s", reply)
		require.NotContains(t, failure.Error(), "t0k")
	}
	for _, text := range []string{token, token + " end", "begin " + token} {
		require.NotContains(t, causeForLog(stageRcpt, &textproto.Error{Code: 550, Msg: text}).Error(), "t0k")
	}
}

// Whatever a server replies, a failure is not both final and kept for somebody, and has words for people.
func FuzzReply(f *testing.F) {
	for _, each := range replies {
		f.Add(int(each.at), each.reply[4:], "bob@example.org")
	}
	f.Fuzz(func(t *testing.T, at int, text, recipient string) {
		for _, code := range []int{421, 450, 550, 554} {
			failure := checkFailure(t, smtpFailure(t.Context(), stage(at), recipient, &textproto.Error{Code: code, Msg: text}))
			require.False(t, failure.Final && (failure.Operator || failure.Throttled || code < 500))
		}
	})
}
