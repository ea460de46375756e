#!/bin/sh
# Looks for known vulnerabilities in what the server and the tools are made of, and lists what the server is made of in
# build/audit/sbom.cdx.json (CycloneDX): "audit.sh GOVULNCHECK CYCLONEDX". Prints a line for each part: passed, FAILED, or
# LEFT OUT where its database is out of reach. Exits with 1 where a part failed; else with 75 where one was left out, and
# build/audit/left-out names those. Needs build/invited, npm and Python. Run it in the root of the repository.
set -u

govulncheck=$1 cyclonedx=$2
: "${PYTHON:=python3}" "${VERSION:=dev}"
out=build/audit
mkdir -p "$out"
rm -f "$out"/*.log "$out"/*.json "$out/left-out"
failed=0

# judge PART STATUS LOG FOUND UNREACHABLE prints the result of a part whose tool has ended. FOUND and UNREACHABLE are
# patterns of the log: the tool has found a vulnerability; the tool could not ask its database.
judge() {
	if [ "$2" -eq 0 ]; then
		echo "audit: $1: passed"
	elif ! grep -Eq "$4" "$3" && grep -Eq "$5" "$3"; then
		echo "audit: $1: LEFT OUT, because the vulnerability database is out of reach: see $3"
		echo "$1" >>"$out/left-out"
	else
		cat "$3" >&2
		echo "audit: $1: FAILED"
		failed=1
	fi
}

# Looks for calls that reach a vulnerability, from every package: from the programs alone, calls through the job queue are
# not found. GOVULNDB can name a copy of the database.
"$govulncheck" ${GOVULNDB:+-db "$GOVULNDB"} ./... >"$out/govulncheck.log" 2>&1
judge "govulncheck ./..." $? "$out/govulncheck.log" '^Vulnerability #' '^govulncheck: fetching vulnerabilities:'

# named PATTERN lists the files of the repository with a name. The matrix is left out: it tries the generators that people use as
# they are, with their dependencies, and nothing of ours is made with them.
named() {
	find . -path ./build -prune -o -path ./.git -prune -o -path ./internal/tools/sdk/matrix -prune -o -name node_modules -prune -o \
		-name "$1" -print | sed 's|^\./||' | sort
}

for lock in $(named package-lock.json); do
	folder=${lock%/package-lock.json}
	log=$out/npm-$(echo "$folder" | tr / -).log
	(cd "$folder" && npm audit --package-lock-only --fetch-retries=0) >"$log" 2>&1
	judge "npm audit $folder" $? "$log" '^# npm audit report' 'audit endpoint returned an error'
done

# With hashes, no dependency is looked for; with --strict, a package that the database does not know is an error.
if ! cmp -s internal/tools/audit/requirements.txt "$out/pip-audit/requirements.txt"; then
	echo "Installing internal/tools/audit/requirements.txt into $out/pip-audit, once: takes about 20 s"
	rm -rf "$out/pip-audit"
	"$PYTHON" -m venv "$out/pip-audit" &&
		"$out/pip-audit/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --requirement internal/tools/audit/requirements.txt &&
		cp internal/tools/audit/requirements.txt "$out/pip-audit" # last, so that a failed installation starts over
fi
for requirements in $(named 'requirements*.txt'); do
	log=$out/pip-$(echo "$requirements" | tr / -).log
	"$out/pip-audit/bin/pip-audit" --strict --disable-pip --require-hashes --progress-spinner off --requirement "$requirements" >"$log" 2>&1
	judge "pip-audit $requirements" $? "$log" '^Found [0-9]+ known vulnerabilit' \
		'could not be audited|ConnectionError|ConnectTimeout|ProxyError|Could not connect'
done

"$cyclonedx" bin -json -version "$VERSION" -output "$out/sbom.cdx.json" build/invited >"$out/sbom.log" 2>&1
judge "bill of materials $out/sbom.cdx.json" $? "$out/sbom.log" . .

[ "$failed" -eq 0 ] || {
	rm -f "$out/left-out"
	exit 1
}
[ ! -e "$out/left-out" ] || exit 75
