package config

import (
	"reflect"

	"github.com/caarlos0/env/v11"
)

// Where the value of a variable comes from.
const (
	FromEnvironment = "environment"
	FromProfile     = "profile" // the default of the profile that INVITED_PROFILE names
	FromDefault     = "default" // the default of the variable, which may be empty
	FromOther       = "derived" // from the values of other variables
)

// Setting is a variable with the value that it has.
type Setting struct {
	Name   string // with INVITED_ before it
	Value  string // "[redacted]" in place of a secret; without the user and the password of a database
	Source string
}

// Settings returns every variable with its value, in the order of the fields of Config. The error is that of Load.
func Settings(environ []string) ([]Setting, error) {
	c, err := Load(environ)
	if err != nil {
		return nil, err
	}
	given, withProfile := env.ToMap(environ), env.ToMap(environ)
	setProfileDefaults(withProfile)
	derived := map[string]string{
		"DATABASE_URL": c.Database.String(), "DATABASE_READ_URL": c.DatabaseRead.String(),
		"PUBLIC_URL": c.PublicURL.String(), "FRONTEND_URL": c.FrontendURL.String(),
	}
	var settings []Setting
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		name := field.Tag.Get("env")
		if name == "" || name == "-" {
			continue
		}
		s := Setting{Name: prefix + name, Value: field.Tag.Get("envDefault"), Source: FromDefault}
		switch {
		case given[s.Name] != "":
			s.Value, s.Source = given[s.Name], FromEnvironment
		case withProfile[s.Name] != "":
			s.Value, s.Source = withProfile[s.Name], FromProfile
		case derived[name] != "" && s.Value == "":
			s.Source = FromOther
		}
		if value, ok := derived[name]; ok {
			s.Value = value
		}
		if isSecret(field.Type) && s.Value != "" {
			s.Value = redacted
		}
		settings = append(settings, s)
	}
	return settings, nil
}

func isSecret(t reflect.Type) bool {
	return t == reflect.TypeFor[Secret]() || t == reflect.TypeFor[[]Secret]()
}
