package jobs

// ReindexNames is reindexNames.
var ReindexNames = reindexNames
