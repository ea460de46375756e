#!/bin/sh
# Prints the directory in which tests keep their temporary files: in memory where there is room and programs may run,
# because the tests create and remove more than a thousand databases; else where everybody's temporary files are.
set -eu
memory=/dev/shm
needed=4194304 # KiB
fits() {
	[ -d "$memory" ] && [ -w "$memory" ] && [ "$(df -Pk "$memory" | awk 'NR == 2 { print $4 }')" -ge "$needed" ]
}
runs_programs() {
	probe=$(mktemp "$memory/invited-XXXXXX") || return 1
	printf '#!/bin/sh\n' >"$probe" && chmod 700 "$probe"
	"$probe" 2>/dev/null && code=0 || code=1
	rm -f "$probe"
	return "$code"
}
if fits && runs_programs; then
	echo "$memory"
else
	echo "${TMPDIR:-/tmp}"
fi
