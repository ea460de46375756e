package config

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

func parseBool(v string) (bool, error) {
	b, err := strconv.ParseBool(v)
	if err != nil {
		return false, fmt.Errorf("%q is neither true nor false", v)
	}
	return b, nil
}

// days matches a duration of whole days, of 24 hours each. No duration has room for 6 digits.
var days = regexp.MustCompile(`^([0-9]{1,5})d$`)

// ParseDuration returns the duration above zero that a text is: a Go duration (168h, 15m, 2s), or a number of days (30d).
func ParseDuration(v string) (time.Duration, error) {
	var d time.Duration
	var err error
	if found := days.FindStringSubmatch(v); found != nil {
		var count int
		count, err = strconv.Atoi(found[1])
		d = time.Duration(count) * 24 * time.Hour
	} else {
		d, err = time.ParseDuration(v)
	}
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is not a duration above zero, such as 168h, 30d, 15m or 2s", v)
	}
	return d, nil
}

// A Delay is a duration that may be zero.
type Delay time.Duration

func parseDelay(v string) (Delay, error) {
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a duration, such as 5s, or 0s for none", v)
	}
	return Delay(d), nil
}

// A Retention is how long something is kept; 0: for ever.
type Retention time.Duration

// LeastRetention is the shortest Retention. An invitation that expired within that time lets its invitee sign in, and its events
// say whether it was open until then.
const LeastRetention = 30 * 24 * time.Hour

func parseRetention(v string) (Retention, error) {
	if v == "0" {
		return 0, nil
	}
	d, err := ParseDuration(v)
	if err != nil || d < LeastRetention {
		return 0, fmt.Errorf("%q is neither a duration of 30d or more, such as 365d, nor 0 for ever", v)
	}
	return Retention(d), nil
}

// A Limit allows Count of something in any period of the length Per. The zero Limit allows any number.
type Limit struct {
	Count int
	Per   time.Duration
}

func parseLimit(v string) (Limit, error) {
	if v == "0" {
		return Limit{}, nil
	}
	count, per, _ := strings.Cut(v, "/")
	n, err := strconv.ParseUint(strings.TrimSpace(count), 10, 31)
	d, perErr := ParseDuration(strings.TrimSpace(per))
	if err != nil || perErr != nil || n == 0 {
		return Limit{}, fmt.Errorf("%q is not a limit, such as 10/1h for ten in an hour, or 0 for none", v)
	}
	return Limit{Count: int(n), Per: d}, nil
}

// hashRoute matches the fragment of a front end whose routes are in the fragment, such as https://portal.example/#/.
var hashRoute = regexp.MustCompile(`^!?/[A-Za-z0-9/._~-]*$`)

// Rate is a number of times a second. 0 is no limit.
type Rate float64

// Interval returns the time between two of the times; 0 for no limit.
func (r Rate) Interval() time.Duration {
	if r == 0 {
		return 0
	}
	return time.Duration(float64(time.Second) / float64(r))
}

func parseRate(v string) (Rate, error) {
	rate, err := strconv.ParseFloat(v, 64)
	if err != nil || !(rate == 0 || rate >= 0.001 && rate <= 1000) {
		return 0, fmt.Errorf("%q is not a number a second, such as 2, or 0.5 for one in two seconds, or 0 for no limit", v)
	}
	return Rate(rate), nil
}

// A Pattern is a regular expression, which compiles; empty: there is none.
type Pattern string

// Regexp returns the compiled pattern; nil: there is none.
func (p Pattern) Regexp() *regexp.Regexp {
	if p == "" {
		return nil
	}
	return regexp.MustCompile(string(p))
}

func parsePattern(v string) (Pattern, error) {
	if _, err := regexp.Compile(v); err != nil {
		return "", fmt.Errorf("%q is not a regular expression, such as ^[a-z][a-z0-9-]*$", v)
	}
	return Pattern(v), nil
}

// parseBaseURL returns an absolute URL that ends in "/": resolving a reference against a base without the slash would
// drop the base's last segment. The URL may have a fragment for hash routes, which ends in "/" too.
func parseBaseURL(v string) (url.URL, error) {
	u, err := url.Parse(v)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return url.URL{}, errors.New("not an absolute http or https URL, such as https://invite.example.com/")
	case u.User != nil:
		return url.URL{}, errors.New("must not contain a user or a password: the URL appears in responses and mails")
	case strings.Contains(v, "?"), strings.Contains(v, "#") && !hashRoute.MatchString(u.EscapedFragment()):
		return url.URL{}, errors.New("must not contain a query, nor a fragment other than #/ or #!/: paths are appended to the URL")
	}
	if u.Fragment != "" {
		u.Fragment, u.RawFragment = strings.TrimSuffix(u.Fragment, "/")+"/", ""
	}
	if u.Host, err = asciiHost(u.Host); err != nil {
		return url.URL{}, err
	}
	return *u.JoinPath("/"), nil
}

// asciiHost returns the HOST or HOST:PORT of a URL as browsers write it: in lower case, an internationalized domain in ASCII.
func asciiHost(host string) (string, error) {
	host = strings.ToLower(host)
	if strings.IndexFunc(host, func(r rune) bool { return r >= utf8.RuneSelf }) < 0 {
		return host, nil
	}
	name, port, hasPort := strings.Cut(host, ":") // an IPv6 address has ASCII only
	name, err := idna.Lookup.ToASCII(name)
	if err != nil {
		return "", fmt.Errorf("%q is no name of a host", host)
	}
	if hasPort {
		name += ":" + port
	}
	return name, nil
}

// escapeHint names the most likely mistake in a URL that url.Parse refuses. The URL itself may contain a password, and
// is never quoted.
const escapeHint = "in a user or password, write each of : / ? # @ % as its percent code, such as %40 for @"

func parseMailAddress(v string) (mail.Address, error) {
	a, err := mail.ParseAddress(v)
	if err != nil {
		return mail.Address{}, fmt.Errorf("%q is not an e-mail address, such as Invitations <invitations@example.com>", v)
	}
	return *a, nil
}

func parseSecret(v string) (Secret, error) { return Secret(v), nil }

func parseNetwork(v string) (*net.IPNet, error) {
	_, network, err := net.ParseCIDR(v)
	if err != nil {
		return nil, fmt.Errorf("%q is not a network in CIDR form, such as 10.0.0.0/8, or 192.0.2.7/32 for one address", v)
	}
	return network, nil
}

// splitList returns the items of a comma separated list, without surrounding space and without empty ones.
func splitList(v string) []string {
	var items []string
	for item := range strings.SplitSeq(v, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

func parseList[T any](v string, parse func(string) (T, error)) ([]T, error) {
	var list []T
	for _, item := range splitList(v) {
		parsed, err := parse(item)
		if err != nil {
			return nil, err
		}
		list = append(list, parsed)
	}
	return list, nil
}
