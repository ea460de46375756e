// Package config reads the environment into one documented struct. It owns the
// names, defaults and rules of the INVITED_ variables, and the place where a
// generated secret key is kept.
//
// Whoever is configured doesn't see the environment: it takes values from
// [Config]. What a variable makes the server do is said where it is done.
package config
