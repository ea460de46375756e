# Prints the headings ("##@ Heading") and targets ("name: … ## text") of a Makefile.
/^##@ / { print (seen++ ? "\n" : "") substr($0, 5) }
/^[a-z-]+:.*## / && seen {
  target = text = $0
  sub(/:.*/, "", target)
  sub(/.*## /, "", text)
  printf "  %-14s  %s\n", target, text
}
