package directory

import (
	"slices"
	"strings"

	"golang.org/x/net/idna"
)

// aceBegin begins a label of an internationalized domain name in its ASCII form.
const aceBegin = "xn--"

// FoldEmail returns the form in which e-mail addresses are compared: without case, as Fold has it, and with each label of an
// internationalized domain in one form, whichever was typed. The form is the one in letters (müller.example, and not
// xn--mller-kva.example), so that a part of an address can be searched for. A label that is no valid ASCII form stays as it
// is. Letters that IDNA would map to other letters stay too: see ValidEmail.
func FoldEmail(address string) string {
	folded := Fold(address)
	at := strings.LastIndexByte(folded, '@')
	if at < 0 || !strings.Contains(folded[at:], aceBegin) {
		return folded
	}
	return folded[:at+1] + unicodeDomain(folded[at+1:])
}

// FoldEmailPart is FoldEmail for a text that is searched for in addresses: whatever its labels belong to.
func FoldEmailPart(part string) string {
	domain := strings.LastIndexByte(part, '@') + 1
	return Fold(part[:domain]) + unicodeDomain(Fold(part[domain:]))
}

// unicodeDomain returns a domain (folded) with its labels in letters.
func unicodeDomain(domain string) string {
	labels := strings.Split(domain, ".")
	for i, label := range labels {
		if !strings.HasPrefix(label, aceBegin) || !isASCII(label) {
			continue
		}
		decoded, err := idna.Lookup.ToUnicode(label)
		if err != nil {
			continue
		}
		if encoded, err := idna.Lookup.ToASCII(decoded); err == nil && encoded == label {
			labels[i] = decoded
		}
	}
	return strings.Join(labels, ".")
}

// emailForms returns the forms of an address that a person can mean by a pattern: as it is and, for an internationalized
// domain, with the domain in letters and in ASCII.
func emailForms(address string) []string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 || (isASCII(address[at:]) && !strings.Contains(Fold(address[at:]), aceBegin)) {
		return []string{address}
	}
	forms := []string{address}
	add := func(domain string) {
		if form := address[:at+1] + domain; !slices.Contains(forms, form) {
			forms = append(forms, form)
		}
	}
	inLetters := unicodeDomain(Fold(address[at+1:]))
	add(inLetters)
	if ascii, err := idna.Lookup.ToASCII(inLetters); err == nil {
		add(ascii)
	}
	return forms
}
