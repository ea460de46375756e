package mail

import (
	"fmt"
	"net/textproto"
	"regexp"
	"strings"

	"invited/internal/delivery"
)

// topic is the cause of a refusal, as far as the reply tells it.
type topic int

const (
	unclear      topic = iota // the reply does not say, or names nothing that anybody could change
	aboutMailbox              // the recipient's mailbox, or its domain
	aboutContent
	aboutSender // the sender, the login, the name or the reputation of this host, or relaying
	aboutRate   // too many messages or connections in a time
	aboutQuota  // the messages of an hour, a day or an account are used up
)

// replyFailure returns the failure that a negative reply means. Only a refusal of the mailbox, its domain or the content is
// final. A refusal of the sender, the login, this host or the volume has to be fixed by the operator. The mail survives
// until then, and also where the reply does not say what it is about.
func replyFailure(at stage, recipient string, reply *textproto.Error) *delivery.Failure {
	operatorFailure := func(refused string) *delivery.Failure {
		return &delivery.Failure{
			Reason: fmt.Sprintf("The mail server refused the %s (%d); the operator has to check the mail settings.",
				refused, reply.Code),
			Operator: true, Blocked: at < stageRcpt,
		}
	}
	byRecipient := at >= stageRcpt && reply.Code != 421 // some servers pass on what the recipient's server replies
	transient := reply.Code < 500                       // RFC 5321, section 4.2.1
	about := topicOf(at, reply, recipient)
	switch {
	case at == stageTLS && reply.Code != 421: // 454, too, may come from somebody who wants the mails in the clear
		return operatorFailure("encryption")
	case about == aboutRate && transient:
		return &delivery.Failure{
			Reason:    fmt.Sprintf("The mail server asked to slow down (%d).", reply.Code),
			Throttled: true, Recipient: byRecipient,
		}
	case about == aboutRate, about == aboutQuota:
		return &delivery.Failure{
			Reason: fmt.Sprintf("The mail server takes no more mail now (%d); the operator has to check its sending limits.",
				reply.Code),
			Operator: true, Throttled: true, Recipient: byRecipient,
		}
	case about == aboutSender && at >= stageMail:
		return operatorFailure("sender")
	case at == stageRcpt && transient:
		return &delivery.Failure{
			Reason: fmt.Sprintf("The mail server does not take mail for this address now %s.", describeReply(reply)),
		}
	case transient:
		return &delivery.Failure{Reason: fmt.Sprintf("The mail server asked to try again later (%d).", reply.Code)}
	case at < stageAuth:
		return operatorFailure("connection")
	case at == stageAuth:
		return operatorFailure("login")
	case at == stageMail:
		return operatorFailure("sender")
	case about == aboutMailbox:
		return &delivery.Failure{
			Reason: fmt.Sprintf("The mail server refused the address %s. "+
				"Invite them at another address, or send the invitation again once this one works.", describeReply(reply)),
			Final: true,
		}
	case about == aboutContent:
		return &delivery.Failure{
			Reason: fmt.Sprintf("The mail server refused the message %s. "+
				"Invite them again with another personal text, or ask the operator.", describeReply(reply)),
			Final: true,
		}
	}
	return &delivery.Failure{
		Reason: fmt.Sprintf("The mail server refused the mail %s without saying whether the address is wrong. Ask the operator if this does not stop.",
			describeReply(reply)),
	}
}

// enhancedCodes match the enhanced status code (RFC 3463) of a reply, at its beginning or, as qmail writes it, at its end.
var enhancedCodes = []*regexp.Regexp{
	regexp.MustCompile(`^([245]\.\d{1,3}\.\d{1,3})\b`),
	regexp.MustCompile(`\(#([245]\.\d{1,3}\.\d{1,3})\)\s*$`),
}

// enhancedCode returns the enhanced status code of a reply's text, or "".
func enhancedCode(text string) string {
	for _, each := range enhancedCodes {
		if found := each.FindStringSubmatch(text); found != nil {
			return found[1]
		}
	}
	return ""
}

// A rule gives a topic to what its pattern matches.
type rule struct {
	about   topic
	pattern *regexp.Regexp
}

// match returns the topic of the first rule that matches, and whether one does. Rules about the mailbox read mailboxText.
func match(rules []rule, text, mailboxText string) (topic, bool) {
	for _, each := range rules {
		read := text
		if each.about == aboutMailbox {
			read = mailboxText
		}
		if each.pattern.MatchString(read) {
			return each.about, true
		}
	}
	return unclear, false
}

// codeRules are the enhanced status codes that decide by themselves: those of RFC 3463, RFC 4954, RFC 5248, RFC 7372,
// RFC 7505 and RFC 8689, and those of Exchange, whose details have two or three digits.
var codeRules = []rule{
	{aboutSender, regexp.MustCompile(`^.\.1\.[78]$`)},
	{aboutQuota, regexp.MustCompile(`^.\.1\.90$`)},
	{aboutMailbox, regexp.MustCompile(`^.\.1\.([1-46]|10)$|^5\.2\.[12]$|^.\.7\.1[78]$`)},
	{unclear, regexp.MustCompile(`^.\.2\.12[12]$`)}, // too many mails to this mailbox, from whomever
	{aboutSender, regexp.MustCompile(`^.\.2\.25\d$`)},
	{aboutContent, regexp.MustCompile(`^.\.2\.3$|^.\.3\.4$|^.\.6\.\d+$`)},
	{aboutSender, regexp.MustCompile(`^.\.3\.5$|^.\.4\.6$`)},
	{aboutQuota, regexp.MustCompile(`^.\.7\.(23[23]|70[05])$`)},
	{aboutRate, regexp.MustCompile(`^.\.7\.28$`)},
	{aboutSender, regexp.MustCompile(`^.\.7\.([89]|1[0-4]|2\d|30|5[7-9]|6\d|139|50[1-9]|5[1-9]\d|[67]\d\d)$`)},
}

// wordRules are read where no code decides. What comes first is more specific than what comes later: "Sender address
// rejected: User unknown" is about the sender, and "mailbox quota exceeded" is about the mailbox.
var wordRules = []rule{
	// The recipient's own pace, and greylisting: the mail is taken later.
	{unclear, regexp.MustCompile(`gr[ae]y-?list|trying to contact is receiving|recipient thread limit`)},
	{aboutContent, regexp.MustCompile(`(message|mail)( file| content)?( is)? too (big|large)|(message|maximum) (file )?size`)},
	{aboutMailbox, regexp.MustCompile(`(mailbox|inbox|recipient|tried to reach|user)\b.{0,20}( (is )?(full|over ?quota)|quota exceeded|out of storage)|over its quota`)},
	{aboutQuota, regexp.MustCompile(`(daily|hourly|monthly|per (hour|day|month)|24 hours?)\b.{0,40}(limit|quota|exceeded)|(quota|credits?)( has been| was| is)? exceeded|(limit|quota)\b.{0,20}(daily|per (hour|day))|(exceeded|reached)\b.{0,20} (quota|allowance|plan|sending limit)`)},
	{aboutRate, regexp.MustCompile(`too (many|frequent|much|fast)\b.{0,30}(messages?|e?-?mails?|requests?|connect|concurrent|sessions?|recipients? (this|per|in))|too (fast|quickly)|(rate|relay|sending|sender|client|connection|concurrency|message|messages per second|thread|submission)s? limit(ed)?\b|limit exceeded|submission rate|throttl|slow down|unusual rate|maximum (sending )?rate|server (is )?(too )?busy`)},
	{aboutSender, regexp.MustCompile(`\brelay|client host|blocked using|\be?helo\b|\behlo\b|ptr record|reverse (dns|hostname)|reputation|block ?-?list|black ?-?list|deny ?list|\bdnsbl\b|\brbl\b|spamhaus|barracuda|\bbanned\b|unsolicited|bulk|\bspf\b|\bdkim\b|\bdmarc\b`)},
	{aboutSender, regexp.MustCompile(`sender (address|verify|verification|identity|signature|id|domain)|\bsender\b.{0,20}(reject|denied|refused|block|not|unknown|invalid)|(send|submit)( mail| messages?| e-?mails?)? (as|on behalf|from)|(allowed|authorized|authorised|permitted|permissions?|may not|not|cannot|can't) (to )?send|not authorized to (perform|submit)|send ?as|not owned by|(not|un)[ -]?verified|failed the check|mail from|from:? (address|header|domain)|from (this|your) (ip|host|server|network|address|domain)|your (ip|host|server|network|domain|account)`)},
	{aboutSender, regexp.MustCompile(`authenticat|authoriz(e|ation)d? (required|recipient)|authorized recipients|log(ged)? ?in\b|credentials|(sending|account)( is| has been| was)? (paused|suspended|on hold)|free accounts?|sandbox|must issue a? ?starttls`)},
	{aboutMailbox, regexp.MustCompile(`(user|mailbox|recipient|addressee|account|alias|local ?part)( name| address| account)?( [^ ]+)?( is| was| has been)?:? ?(unknown|not ?found|unavailable|does(n't| ?not) exist|not exist|disabled|deactivated|inactive|invalid|rejected|undeliverable|closed|expired|not local|not known|no longer)`)},
	{aboutMailbox, regexp.MustCompile(`(no such|unknown|invalid|bad|non-?existent|inactive|undeliverable|unrout(e?)able|not a valid|no) (recipient|user|mailbox|addressee|address|account|alias|local ?part|person|domain|customer)|(tried to reach|mailbox) (does not exist|here)|doesn't have an? .{0,30}account|address (is )?(unknown|undeliverable|does not exist|not found|rejected)|not our customer|marked as inactive`)},
	{aboutMailbox, regexp.MustCompile(`(domain|host)( name)?( or domain name)? (not found|unknown|does(n't| not) exist|isn't valid)|(unknown|no such|nonexistent) (host|domain)|accepts? no mail|does not accept (any )?mail|null mx`)},
	{aboutContent, regexp.MustCompile(`virus|malware|spamassassin|rspamd|infected|phish|attachment|(message|blocked|forbidden|prohibited|its) content|content (is )?(reject|block|not)|\bspam (score|points|content|message)|(classified|identified|detected|considered|looks?|marked|rejected)( as| like| to be)? spam|spam (detected|rejected)|contains? spam|\b(url|links?)\b.{0,20}(in|within|list)|bare (lf|cr)|line (is )?too long|malformed (message|mime)|non-compliant|rfc ?5322`)},
}

// lateCodeRules are enhanced status codes that decide where the words don't.
var lateCodeRules = []rule{
	{aboutRate, regexp.MustCompile(`^.\.4\.5$`)},
	{aboutMailbox, regexp.MustCompile(`^.\.4\.310$`)},
	{aboutSender, regexp.MustCompile(`^.\.5\.[1-6]$|^.\.7\.0$`)},
}

// topicOf returns what a reply at a stage is about. An enhanced status code that decides wins over the words.
func topicOf(at stage, reply *textproto.Error, recipient string) topic {
	code := enhancedCode(reply.Msg)
	if about, ok := match(codeRules, code, code); ok {
		return about
	}
	about, ok := match(wordRules, wordsOf(reply, recipient), wordsOf(reply, ""))
	if own, isPassedOn := ownWords(at, reply); isPassedOn && about != aboutMailbox && about != aboutContent {
		if about, _ = match(wordRules, wordsOf(own, recipient), wordsOf(own, "")); about == aboutMailbox || about == aboutContent {
			return unclear
		}
		return about
	}
	if ok {
		return about
	}
	if about, ok := match(lateCodeRules, code, code); ok {
		return about
	}
	switch reply.Code {
	case 500, 501, 502, 503, 504, 530, 534, 535, 538: // RFC 5321, section 4.2.3, and RFC 4954, section 6
		return aboutSender
	case 556: // RFC 7504, section 4
		return aboutMailbox
	default:
		return unclear
	}
}

// passedOn matches what stands before the words of another server, the recipient's, that a mail server passes on.
var passedOn = regexp.MustCompile(`(?i)\bsaid:|\bresponse( was|:)|\bcallout|\bwhile verifying`)

// ownWords returns a reply without the words of the recipient's server in it, and whether there are any. Those decide about
// the mailbox and the mail only: whoever has a domain could write there that the operator's account is suspended, or that
// all mails have to slow down.
func ownWords(at stage, reply *textproto.Error) (own *textproto.Error, isPassedOn bool) {
	found := passedOn.FindStringIndex(reply.Msg)
	if at < stageRcpt || found == nil {
		return reply, false
	}
	return &textproto.Error{Code: reply.Code, Msg: reply.Msg[:found[0]]}, true
}

// named matches what a reply quotes: anything in angle brackets, addresses, and names of hosts and domains. The last label
// of a name is in lower case, so that the names of Exchange's exceptions are read.
var named = regexp.MustCompile(`<[^>]*>|\S*@\S*|(?:[\pL\d_-]+\.)+[a-z][a-z\d-]+\b`)

// wordsOf returns the words of a reply, in lower case, without its enhanced status code and without what it quotes,
// nor the name in the recipient's address: the name can be "relay" or "helo", and must not be taken for the server's words. It
// can be "user" or "mailbox" too, and so the rules about the mailbox read the words of no recipient, which include the name.
func wordsOf(reply *textproto.Error, recipient string) string {
	text := named.ReplaceAllString(strings.TrimPrefix(reply.Msg, enhancedCode(reply.Msg)), " ")
	local, _, _ := strings.Cut(recipient, "@")
	words := strings.Fields(strings.ToLower(strings.ReplaceAll(text, "’", "'")))
	kept := words[:0]
	for _, word := range words {
		if strings.Trim(word, `'"()[]{}:;,.!?`) != strings.ToLower(local) {
			kept = append(kept, word)
		}
	}
	return strings.Join(kept, " ")
}

// statusMeanings explains enhanced status codes (RFC 3463, section 3, and RFC 7505).
var statusMeanings = []struct {
	code    *regexp.Regexp
	meaning string
}{
	{regexp.MustCompile(`^.\.1\.1$`), "there is no such mailbox"},
	{regexp.MustCompile(`^.\.1\.2$`), "there is no such domain"},
	{regexp.MustCompile(`^.\.1\.3$`), "the address is not well formed"},
	{regexp.MustCompile(`^.\.1\.10$`), "there is no such mailbox, or its domain takes no mail"}, // Exchange, and RFC 7505
	{regexp.MustCompile(`^5\.2\.1$`), "the mailbox is closed"},
	{regexp.MustCompile(`^.\.2\.2$`), "the mailbox is full"},
	{regexp.MustCompile(`^.\.2\.3$`), "the mail is too large for it"},
	{regexp.MustCompile(`^.\.3\.4$`), "the mail is too large"},
	{regexp.MustCompile(`^.\.7\.1$`), "its rules refuse it"},
}

// describeReply returns what users learn about a reply: its code, its enhanced status code, and what that means. The
// text of the reply is left out, because it may name hosts and addresses that users must not learn.
func describeReply(reply *textproto.Error) string {
	enhanced := enhancedCode(reply.Msg)
	if enhanced == "" {
		return fmt.Sprintf("(%d)", reply.Code)
	}
	for _, each := range statusMeanings {
		if each.code.MatchString(enhanced) {
			return fmt.Sprintf("(%d %s: %s)", reply.Code, enhanced, each.meaning)
		}
	}
	return fmt.Sprintf("(%d %s)", reply.Code, enhanced)
}
