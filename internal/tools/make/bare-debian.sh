#!/bin/sh
# Makes a bare Debian with systemd in a folder, for tests that boot it: "bare-debian.sh SUITE FOLDER PACKAGE...". The packages
# are downloaded into it and not installed: a test installs them, without a network. Needs root, debootstrap and
# systemd-nspawn, and Debian's mirror (MIRROR). Run it in the root of the repository.
set -eu

suite=$1 root=$2
shift 2
: "${MIRROR:=http://deb.debian.org/debian}"

[ "$(id -u)" -eq 0 ] || {
  echo "root is needed, to boot a Debian in a container" >&2
  exit 1
}
for each in debootstrap systemd-nspawn nsenter; do
  command -v "$each" >/dev/null || {
    echo "$each is not installed: apt-get install debootstrap systemd-container util-linux" >&2
    exit 1
  }
done
[ -e "$root/bare" ] && exit

echo "Making a bare Debian ($suite) in $root, once: takes some minutes"
mkdir -p "${root%/*}"
rm -rf "$root"
debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,ca-certificates,curl,openssl,iproute2 "$suite" "$root" "$MIRROR" >"$root.log" 2>&1 || {
  tail -n 20 "$root.log" >&2
  exit 1
}
chroot "$root" apt-get install -yq --download-only "$@" >>"$root.log" 2>&1 || {
  tail -n 20 "$root.log" >&2
  exit 1
}
touch "$root/bare" # last, so that what was not finished starts over
