// Package memory makes the garbage collector save memory while something large is in it.
package memory
