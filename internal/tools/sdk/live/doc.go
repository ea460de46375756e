// Package live runs the built server as a process on a database of its own, for programs that try it from outside:
// the tests of the SDKs, the examples of the documentation, and the fuzzing of the contract. It provides a small
// directory, unless the caller brings one, and knows nothing of what is tried.
package live
