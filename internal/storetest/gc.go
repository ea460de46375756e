package storetest

import "runtime/debug"

// Test programs live for minutes and have memory to spare. Collecting garbage took 17 of 91 s of the processor time of the tests
// of internal/api.
func init() { debug.SetGCPercent(400) }
