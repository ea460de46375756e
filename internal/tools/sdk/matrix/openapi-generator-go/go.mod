module play

go 1.26
