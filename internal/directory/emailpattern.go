package directory

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
)

// Limits of a scope's e-mail patterns. They bound the time of a request that creates or accepts an invitation.
const (
	// MaxEmailPatterns is the number of patterns that a scope can have.
	MaxEmailPatterns = 10_000
	// MaxEmailPatternsCost is the highest sum of EmailPatternCost over the patterns of a scope. To compile a pattern takes
	// up to about a microsecond for each unit of its cost.
	MaxEmailPatternsCost = 2_000_000
	// maxEmailPatternCost limits a single pattern, because nested repetitions multiply its cost.
	maxEmailPatternCost = 10_000
	// unicodeClassCost is added for each class such as \pL. To parse one takes a tenth of a millisecond, though a hundred of them
	// in brackets are one instruction: a kilobyte of them would take a tenth of a second each time.
	unicodeClassCost = 200
	// foldedPerCost is the number of characters of a range that are folded in the time of one unit of cost. Package regexp folds
	// each character of a range such as [a-\x{1E943}] by itself, up to lastFolded: a kilobyte of such ranges would take half a
	// second.
	foldedPerCost = 64
	lastFolded    = 0x1E943
)

// rangeEnd matches the end of a range of characters that is beyond ASCII.
var rangeEnd = regexp.MustCompile(`-(?:\\x\{([0-9A-Fa-f]+)\}|([^\x00-\x7F]))`)

// classesCost returns the cost of the classes and wide ranges of an e-mail pattern. It reads the pattern's text, because to parse
// them is slow.
func classesCost(pattern string) int {
	cost := unicodeClassCost * (strings.Count(pattern, `\p`) + strings.Count(pattern, `\P`))
	for _, end := range rangeEnd.FindAllStringSubmatch(pattern, -1) {
		last := []rune(end[2])
		if end[1] != "" {
			parsed, err := strconv.ParseInt(end[1], 16, 32)
			if err != nil {
				parsed = lastFolded
			}
			last = []rune{rune(parsed)}
		}
		cost += int(min(last[0], lastFolded)) / foldedPerCost
	}
	return cost
}

// ErrCostlyPattern means that an e-mail pattern costs too much.
var ErrCostlyPattern = errors.New("repeats too much to be matched fast")

// EmailPatternCost returns the approximate number of instructions that an e-mail pattern compiles to. It returns
// ErrCostlyPattern where the pattern costs too much, and another error where it is not a regular expression. The error's text
// continues a sentence that begins with the pattern's name. The pattern is parsed and not compiled: to compile one that costs
// too much takes seconds. What can be parsed can be compiled.
func EmailPatternCost(pattern string) (int, error) {
	cost := classesCost(pattern)
	if cost > maxEmailPatternCost {
		return 0, ErrCostlyPattern
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err == nil {
		cost += instructions(parsed)
		if cost > maxEmailPatternCost {
			return 0, ErrCostlyPattern
		}
		if _, err = syntax.Parse(wholeAddress(pattern), syntax.Perl); err == nil {
			return cost, nil
		}
	}
	return 0, fmt.Errorf("is not a regular expression: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
}

func instructions(pattern *syntax.Regexp) int {
	total := 1 + len(pattern.Rune)
	for _, each := range pattern.Sub {
		total += instructions(each)
	}
	if pattern.Op == syntax.OpRepeat {
		total *= max(1, pattern.Min, pattern.Max)
	}
	return total
}

// compileEmailPattern compiles a scope's e-mail pattern, so that it matches a whole address and ignores case. Package
// regexp takes a time linear in the length of the address, whatever the pattern.
func compileEmailPattern(pattern string) (*regexp.Regexp, error) {
	// The pattern must be one alone, or an unbalanced parenthesis would close the group below.
	if _, err := syntax.Parse(pattern, syntax.Perl); err != nil {
		return nil, err
	}
	return regexp.Compile(wholeAddress(pattern))
}

// wholeAddress returns the regular expression of an e-mail pattern.
func wholeAddress(pattern string) string { return `(?i)\A(?:` + pattern + `)\z` }

// plainDomain matches the end of a pattern that can be compared with an address as text: an @, letters, digits, hyphens
// and dots.
var plainDomain = regexp.MustCompile(`@(?:[A-Za-z0-9.-]|\\\.)*\$?$`)

// mayMatch reports whether an address could match an e-mail pattern, without compiling the pattern. false is certain, true
// is not. A scope can have 10,000 patterns, which take half a second to compile; nearly all patterns end in a domain, and
// nearly all of those domains are not the address's.
func mayMatch(pattern, address string) bool {
	domain := plainDomain.FindString(pattern)
	// With an alternative or a quotation, an address need not end in this domain. A non-ASCII letter of the address can
	// match an ASCII letter of the pattern, because the pattern ignores case.
	if domain == "" || strings.Contains(pattern, "|") || strings.Contains(pattern, `\Q`) || !isASCII(address) {
		return true
	}
	const escapedDot = "\x00" // a dot that is not escaped matches any character
	domain = strings.ReplaceAll(strings.TrimSuffix(domain, "$"), `\.`, escapedDot)
	if len(domain) > len(address) {
		return false
	}
	address = address[len(address)-len(domain):]
	for i := range len(domain) {
		switch c := domain[i : i+1]; {
		case c == ".":
		case c == escapedDot:
			if address[i] != '.' {
				return false
			}
		case !strings.EqualFold(c, address[i:i+1]):
			return false
		}
	}
	return true
}

// allowsEmail reports whether an address matches one of the scope's own e-mail patterns, or the scope has none. A pattern
// may name an internationalized domain in letters or in ASCII. A pattern that does not compile matches no address.
func (s Scope) allowsEmail(address string) bool {
	forms := emailForms(address)
	for _, each := range s.UserEmailPatterns {
		if !slices.ContainsFunc(forms, func(form string) bool { return mayMatch(each, form) }) {
			continue
		}
		if pattern, err := compileEmailPattern(each); err == nil && slices.ContainsFunc(forms, pattern.MatchString) {
			return true
		}
	}
	return len(s.UserEmailPatterns) == 0
}

const (
	// FastEmailWork limits the patterns that are tried while others wait, to about 2 ms. A unit is one instruction of a pattern,
	// tried on one byte of an address.
	FastEmailWork = 100_000
	// compileWork is the work of compiling a pattern, for each unit of its cost.
	compileWork = 50
)

// HasFastEmailPatterns reports whether RefusesEmail takes so little time for an address that others can wait for it.
func (s Scope) HasFastEmailPatterns(address string) bool {
	_, isFast := s.EmailPatternWork(address)
	return isFast
}

// EmailPatternWork returns the work of RefusesEmail for an address: the cost of all patterns of the scope and its customer, times
// the length of the forms of the address. isFast reports whether others can wait for it; the work is then at most FastEmailWork,
// and otherwise unknown. To find it out takes less time than RefusesEmail.
func (s Scope) EmailPatternWork(address string) (work int, isFast bool) {
	perCost := compileWork
	for _, form := range emailForms(address) {
		perCost += len(form)
	}
	limit := FastEmailWork / perCost
	left := limit
	isSlow := func(pattern string) bool {
		// The length counts too: to parse a long pattern takes time, however few its instructions are.
		if left -= len(pattern); left < classesCost(pattern) {
			return true
		}
		cost, err := EmailPatternCost(pattern)
		left -= cost
		return left < 0 || errors.Is(err, ErrCostlyPattern)
	}
	if slices.ContainsFunc(s.UserEmailPatterns, isSlow) || (s.Customer != nil && slices.ContainsFunc(s.Customer.UserEmailPatterns, isSlow)) {
		return 0, false
	}
	return (limit - left) * perCost, true
}

// SameEmailPatterns reports whether RefusesEmail returns the same for both scopes because they have the same patterns.
func (s Scope) SameEmailPatterns(other Scope) bool {
	same := slices.Equal(s.UserEmailPatterns, other.UserEmailPatterns) && (s.Customer == nil) == (other.Customer == nil)
	return same && (s.Customer == nil || slices.Equal(s.Customer.UserEmailPatterns, other.Customer.UserEmailPatterns))
}

// RefusesEmail returns the type of the first of the scope and its customer whose e-mail patterns an address does not match;
// empty: both admit the address.
func (s Scope) RefusesEmail(address string) ScopeType {
	switch {
	case !s.allowsEmail(address):
		return s.Type
	case s.Customer != nil && !s.Customer.allowsEmail(address):
		return Customer
	}
	return ""
}
