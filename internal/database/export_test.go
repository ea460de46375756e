package database

// ListCallers returns the number of callers whose lists run or wait.
func (db *DB) ListCallers() int {
	db.shares.mu.Lock()
	defer db.shares.mu.Unlock()
	return len(db.shares.callers)
}

// Sizes returns the numbers of connections for short requests, lists and the queue.
func Sizes(n int32) [3]int32 {
	p := divide(n)
	return [3]int32{p.short, p.lists, p.queue}
}

// ForgetTime makes the next unit of work ask the database for the time.
func ForgetTime(db *DB) { db.clock.last.Store(nil) }

// UseStandbyAgain makes the next list ask the standby, though it could not be used a moment ago.
func UseStandbyAgain(db *DB) { db.standby.avoidUntil.Store(0) }
