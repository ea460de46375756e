package jobs

// ReindexNames is reindexNames.
var ReindexNames = reindexNames

// MaxWorkers is maxWorkers.
var MaxWorkers = maxWorkers
