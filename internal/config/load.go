package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/mail"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// Load reads the configuration from an environment in the form of os.Environ.
//
// Its error has one line for each bad variable, with the variable's name, what is wrong and what is expected. No line
// quotes a value that may contain a secret.
func Load(environ []string) (Config, error) {
	vars := env.ToMap(environ)
	// The library looks up a field without a tag, such as Policy, by the bare prefix.
	delete(vars, prefix)

	setProfileDefaults(vars)

	var c Config
	opts := env.Options{Environment: vars, Prefix: prefix, FuncMap: parsers}
	problems := append(parseErrors(env.ParseWithOptions(&c, opts), vars), c.validate()...)
	if len(problems) > 0 {
		return Config{}, errors.Join(problems...)
	}

	if c.PublicURL == nil {
		c.PublicURL = localURL(c.ListenAddr)
	}
	if c.FrontendURL == nil {
		c.FrontendURL = c.PublicURL
	}
	if c.ServerURL == nil {
		c.ServerURL = c.PublicURL
	}

	// The fields are those of an empty Config: in c, the library takes a URL that is set for a section with variables
	// of its own.
	fields, err := env.GetFieldParamsWithOptions(&Config{}, opts)
	if err != nil {
		return Config{}, err
	}
	c.Unknown = unknownVariables(vars, fields)
	return c, nil
}

var parsers = map[reflect.Type]env.ParserFunc{
	reflect.TypeFor[bool]():          func(v string) (any, error) { return parseBool(v) },
	reflect.TypeFor[time.Duration](): func(v string) (any, error) { return ParseDuration(v) },
	reflect.TypeFor[Delay]():         func(v string) (any, error) { return parseDelay(v) },
	reflect.TypeFor[Retention]():     func(v string) (any, error) { return parseRetention(v) },
	reflect.TypeFor[Limit]():         func(v string) (any, error) { return parseLimit(v) },
	reflect.TypeFor[Rate]():          func(v string) (any, error) { return parseRate(v) },
	reflect.TypeFor[Pattern]():       func(v string) (any, error) { return parsePattern(v) },
	reflect.TypeFor[url.URL]():       func(v string) (any, error) { return parseBaseURL(v) },
	reflect.TypeFor[Database]():      func(v string) (any, error) { return parseDatabase(v) },
	reflect.TypeFor[mail.Address]():  func(v string) (any, error) { return parseMailAddress(v) },
	reflect.TypeFor[Secret]():        func(v string) (any, error) { return Secret(strings.TrimSpace(v)), nil },
	reflect.TypeFor[[]Secret]():      func(v string) (any, error) { return parseList(v, parseSecret) },
	reflect.TypeFor[[]string]():      func(v string) (any, error) { return splitList(v), nil },
	reflect.TypeFor[[]*net.IPNet]():  func(v string) (any, error) { return parseList(v, parseNetwork) },
}

// parseErrors returns the library's errors in this package's form: the library names the field instead of the variable,
// and the error of slog.Level does not say what is expected.
func parseErrors(err error, vars map[string]string) []error {
	if err == nil {
		return nil
	}
	var all env.AggregateError
	if !errors.As(err, &all) {
		return []error{err}
	}
	var problems []error
	for _, err := range all.Errors {
		var parse env.ParseError
		if !errors.As(err, &parse) {
			problems = append(problems, err)
			continue
		}
		field, _ := reflect.TypeFor[Config]().FieldByName(parse.Name)
		name := field.Tag.Get("env")
		if parse.Type == reflect.TypeFor[slog.Level]() {
			problems = append(problems, variableError(name, "%q is not debug, info, warn or error", vars[prefix+name]))
			continue
		}
		problems = append(problems, variableError(name, "%w", parse.Err))
	}
	return problems
}

// variableError returns the error for the variable INVITED_name.
func variableError(name, format string, args ...any) error {
	return fmt.Errorf(prefix+name+": "+format, args...)
}

// unknownVariables returns the names of variables that have our prefix and belong to no field, sorted.
func unknownVariables(vars map[string]string, fields []env.FieldParams) []string {
	var names []string
	for name := range vars {
		known := slices.ContainsFunc(fields, func(f env.FieldParams) bool { return f.Key == name })
		if !known && strings.HasPrefix(name, prefix) && !strings.HasPrefix(name, testPrefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// LocalURL returns the URL of the server for a client on the same machine. It ends in "/".
func (c Config) LocalURL() *url.URL { return localURL(c.ListenAddr) }

// localURL returns the URL of a listener for a client on the same machine.
func localURL(listenAddr string) *url.URL {
	host, port, _ := net.SplitHostPort(listenAddr)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return &url.URL{Scheme: "http", Host: net.JoinHostPort(host, port), Path: "/"}
}
