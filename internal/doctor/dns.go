package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// maxLookups is the number of lookups that a receiver makes for an SPF record (RFC 7208, section 4.6.4).
const maxLookups = 10

const letterAdvice = "Send a letter with --send-to to an address of yours elsewhere, and look for its line Authentication-Results."

// CheckSender asks how the domain of the sender is set up: who may send for it (SPF), what receivers do with mails that pass no
// check (DMARC), where bounces go (MX), and the key of a DKIM selector. Without a selector, nobody can look for the key.
func CheckSender(ctx context.Context, resolver *net.Resolver, domain, selector string) (found []Finding) {
	if isUnknown(ctx, resolver, domain) {
		return append(found, wrong("Correct INVITED_MAIL_FROM, register the domain, or run this where its name is known.",
			"The domain name system has no address, no MX and no TXT record of %s: receivers refuse mails from it.", domain))
	}
	found = append(found, findSPF(ctx, resolver, domain), findDKIM(ctx, resolver, domain, selector), findDMARC(ctx, resolver, domain),
		findMX(ctx, resolver, domain))
	return found
}

// isUnknown reports whether nothing that a sender needs is there of a domain. It reports false where nobody answers.
func isUnknown(ctx context.Context, resolver *net.Resolver, domain string) bool {
	hosts, err := resolver.LookupHost(ctx, domain+".")
	if len(hosts) > 0 || ignoreMissing(err) != nil {
		return false
	}
	servers, err := resolver.LookupMX(ctx, domain+".")
	if len(servers) > 0 || ignoreMissing(err) != nil {
		return false
	}
	records, err := lookupTXT(ctx, resolver, domain)
	return len(records) == 0 && err == nil
}

// lookupTXT returns no records where the name does not exist.
func lookupTXT(ctx context.Context, resolver *net.Resolver, name string) ([]string, error) {
	records, err := resolver.LookupTXT(ctx, name+".") // as it is, whatever the search domains of this machine
	return records, ignoreMissing(err)
}

func ignoreMissing(err error) error {
	var failure *net.DNSError
	if errors.As(err, &failure) && failure.IsNotFound {
		return nil
	}
	return err
}

func unanswered(kind, name string, err error) Finding {
	return note("Run this where the domain name system can be asked.", "%s of %s could not be asked for: %s.", kind, name, err)
}

func withTag(records []string, tag string) (found []string) {
	for _, each := range records {
		if fields := strings.FieldsFunc(each, func(r rune) bool { return r == ' ' || r == ';' }); len(fields) > 0 && strings.EqualFold(fields[0], tag) {
			found = append(found, each)
		}
	}
	return found
}

func findSPF(ctx context.Context, resolver *net.Resolver, domain string) Finding {
	records, err := lookupTXT(ctx, resolver, domain)
	if err != nil {
		return unanswered("SPF", domain, err)
	}
	return JudgeSPF(domain, records)
}

// JudgeSPF says what is wrong with the SPF record among the TXT records of a domain (RFC 7208). Whether the record admits the
// mail server can't be seen here: mails may leave from other addresses than the one that takes them.
func JudgeSPF(domain string, records []string) Finding {
	found := withTag(records, "v=spf1")
	switch {
	case len(found) == 0:
		return wrong("Publish a TXT record such as \"v=spf1 include:YOUR-MAIL-PROVIDER -all\", as the operator of the mail server says.",
			"%s has no SPF record: many receivers refuse mails from it, or take them for spam.", domain)
	case len(found) > 1:
		return wrong("Join them into one.", "%s has %d SPF records, and receivers ignore them all.", domain, len(found))
	}
	lookups, all := 0, ""
	for _, term := range strings.Fields(found[0])[1:] {
		term = strings.ToLower(term)
		name := strings.TrimLeft(term, "+-~?")
		if end := strings.IndexAny(name, ":=/"); end >= 0 {
			name = name[:end]
		}
		switch name {
		case "include", "a", "mx", "exists", "redirect":
			lookups++
		case "ptr":
			return note("Replace ptr by the addresses or an include.", "The SPF record of %s uses ptr, which receivers ignore.", domain)
		case "all":
			all = term
		case "ip4", "ip6", "exp":
		default:
			return wrong("Correct the record.", "The SPF record of %s has the unknown term %q: receivers ignore the record.", domain, term)
		}
		if name == "redirect" {
			all = term
		}
	}
	switch {
	case lookups > maxLookups:
		return wrong("Leave out what does not send, or write addresses in place of names.",
			"The SPF record of %s needs %d lookups, and receivers make %d.", domain, lookups, maxLookups)
	case all == "+all" || all == "all":
		return wrong("End the record with -all.", "The SPF record of %s lets everybody send for it.", domain)
	case all == "" || all == "?all":
		return note("End the record with -all or ~all.", "The SPF record of %s says nothing about other senders.", domain)
	}
	return ok("%s has an SPF record (%s). That it admits the mail server shows in a letter with --send-to.", domain, found[0])
}

func findDMARC(ctx context.Context, resolver *net.Resolver, domain string) Finding {
	records, err := lookupTXT(ctx, resolver, "_dmarc."+domain)
	if err != nil {
		return unanswered("DMARC", "_dmarc."+domain, err)
	}
	at := domain
	if len(withTag(records, "v=DMARC1")) == 0 {
		if parent, err := publicsuffix.EffectiveTLDPlusOne(domain); err == nil && parent != domain {
			if records, err = lookupTXT(ctx, resolver, "_dmarc."+parent); err != nil {
				return unanswered("DMARC", "_dmarc."+parent, err)
			}
			at = parent
		}
	}
	return JudgeDMARC(domain, at, records)
}

// JudgeDMARC says what is wrong with the DMARC record of a domain among the TXT records of _dmarc of the same domain or of the
// one above it, at (RFC 7489).
func JudgeDMARC(domain, at string, records []string) Finding {
	found := withTag(records, "v=DMARC1")
	switch {
	case len(found) == 0:
		return wrong("Publish a TXT record of _dmarc."+domain+" such as \"v=DMARC1; p=none; rua=mailto:postmaster@"+domain+"\".",
			"%s has no DMARC record: large receivers want one of whoever sends many mails.", domain)
	case len(found) > 1:
		return wrong("Leave one.", "_dmarc.%s has %d DMARC records, and receivers ignore them all.", at, len(found))
	}
	tags := map[string]string{}
	for part := range strings.SplitSeq(found[0], ";") {
		if name, value, has := strings.Cut(part, "="); has {
			tags[strings.ToLower(strings.TrimSpace(name))] = strings.ToLower(strings.TrimSpace(value))
		}
	}
	policy := tags["p"]
	if sub := tags["sp"]; at != domain && sub != "" {
		policy = sub
	}
	if percent, err := strconv.Atoi(tags["pct"]); err == nil && percent < 100 && policy != "none" {
		return note("Raise pct to 100 when the reports show that all mails pass.", "DMARC of %s: %s, for %d of 100 mails.", domain, policy, percent)
	}
	switch policy {
	case "reject", "quarantine":
		return ok("DMARC of %s: %s. Mails that pass neither SPF nor DKIM for the domain do not arrive.", domain, policy)
	case "none":
		return note("Change p to quarantine, later to reject, when the reports show that all mails pass.",
			"DMARC of %s: none. Others can write mails in its name.", domain)
	default:
		return wrong("Write p=none, p=quarantine or p=reject.", "The DMARC record at _dmarc.%s has no policy that there is.", at)
	}
}

func findDKIM(ctx context.Context, resolver *net.Resolver, domain, selector string) Finding {
	if selector == "" {
		return note(letterAdvice+" With --dkim-selector, the key is looked for.",
			"Whether mails are signed by DKIM can't be seen without the selector, which the operator of the mail server knows.")
	}
	name := selector + "._domainkey." + domain
	records, err := lookupTXT(ctx, resolver, name)
	if err != nil {
		return unanswered("DKIM", name, err)
	}
	return JudgeDKIM(name, records)
}

// JudgeDKIM says what is wrong with the DKIM key among the TXT records of a name (RFC 6376).
func JudgeDKIM(name string, records []string) Finding {
	for _, each := range records {
		for part := range strings.SplitSeq(each, ";") {
			tag, value, _ := strings.Cut(part, "=")
			switch {
			case strings.TrimSpace(tag) != "p":
			case strings.TrimSpace(value) == "":
				return wrong("Publish the key, or sign with another selector.", "The DKIM key of %s is revoked.", name)
			default:
				return ok("%s has a DKIM key. That mails are signed with it shows in a letter with --send-to.", name)
			}
		}
	}
	return wrong("Publish the TXT record that the operator of the mail server gives, or correct --dkim-selector.", "%s has no DKIM key.", name)
}

func findMX(ctx context.Context, resolver *net.Resolver, domain string) Finding {
	records, err := resolver.LookupMX(ctx, domain+".")
	if err = ignoreMissing(err); err != nil {
		return unanswered("MX", domain, err)
	}
	hosts := make([]string, len(records))
	for i, each := range records {
		hosts[i] = strings.TrimSuffix(each.Host, ".")
	}
	return JudgeMX(domain, hosts)
}

// JudgeMX says what is wrong with the hosts of a domain's MX records.
func JudgeMX(domain string, hosts []string) Finding {
	const advice = "Publish an MX record, and read what arrives at the sender's address: bounces say which invitations did not arrive."
	switch {
	case len(hosts) == 0:
		return wrong(advice, "%s has no MX record: bounces get lost, and some receivers refuse mails from it.", domain)
	case len(hosts) == 1 && hosts[0] == "":
		return wrong(advice, "%s says that it takes no mail (a null MX): receivers refuse mails from it.", domain)
	}
	return ok("Bounces to %s go to %s.", domain, strings.Join(hosts, ", "))
}

// NewResolver returns a resolver that asks a DNS server at HOST:PORT; the one of the system where address is empty.
func NewResolver(address string) (*net.Resolver, error) {
	if address == "" {
		return net.DefaultResolver, nil
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, fmt.Errorf("%q is not HOST:PORT, such as 192.0.2.53:53", address)
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}, nil
}
