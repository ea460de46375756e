#!/bin/sh
# Installs those of Debian's packages whose programs are missing: "apt-install.sh PROGRAM:PACKAGE...". PACKAGE may be several,
# with commas. Services that come with them are not started.
set -eu

PATH=$PATH:/usr/sbin:/sbin
missing=
for each; do
  command -v "${each%%:*}" >/dev/null || missing="$missing $(echo "${each#*:}" | tr , ' ')"
done
[ "$missing" ] || exit 0
command -v apt-get >/dev/null || { echo "not installed:$missing; get them from your package manager" >&2; exit 1; }
echo "Installing$missing"
sudo=
[ "$(id -u)" = 0 ] || sudo="sudo -n"
$sudo apt-get update -q >/dev/null
# Debian starts what it installs, unless this file forbids it.
# shellcheck disable=SC2086 # missing is a list
$sudo env DEBIAN_FRONTEND=noninteractive sh -c '
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    trap "rm -f $policy" EXIT
    printf "#!/bin/sh\nexit 101\n" >$policy
    chmod 755 $policy
  fi
  apt-get install -yq --no-install-recommends "$@"' - $missing >/dev/null
