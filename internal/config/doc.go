// Package config reads the environment into one struct, [Config].
//
// It owns the names, defaults and rules of the INVITED_ variables, and the file in which a generated secret key is
// stored. What the server does with a value is documented where it does it. No other package of the server reads the
// environment.
package config
