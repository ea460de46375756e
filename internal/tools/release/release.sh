#!/bin/sh
# Makes the files of a release in build/release: "release.sh GORELEASER CYCLONEDX [--snapshot]". A release is of a tagged commit
# without changes; SIGNING_KEY names the key of gpg that signs the checksums, and without it they are not signed. A snapshot is
# of any commit, and is not signed. Run it in the root of the repository.
set -eu

goreleaser=$1
# GoReleaser looks for the program by its name, which has no version.
mkdir -p build/release-tools
ln -sf "$PWD/$2" build/release-tools/cyclonedx-gomod
PATH=$PWD/build/release-tools:$PATH
shift 2
skip=publish
case ${1:-} in
--snapshot) skip=$skip,sign ;;
*)
  if [ -z "${SIGNING_KEY:-}" ]; then
    echo "SIGNING_KEY is not set: nothing is signed" >&2
    skip=$skip,sign
  fi
  ;;
esac
# Debian packages name who made them.
: "${MAINTAINER:=$(git log -1 --format='%cn <%ce>')}"
export MAINTAINER
# The versions of the contract are tags as well, of another form.
GORELEASER_CURRENT_TAG=$(git describe --tags --exact-match --match 'v[0-9]*' 2>/dev/null || true)
if [ -n "$GORELEASER_CURRENT_TAG" ]; then export GORELEASER_CURRENT_TAG; else unset GORELEASER_CURRENT_TAG; fi
# GoReleaser names no commit where git knows no remote, though nothing is uploaded.
if ! git ls-remote --get-url >/dev/null 2>&1; then
  n=${GIT_CONFIG_COUNT:-0}
  export GIT_CONFIG_COUNT=$((n + 1)) "GIT_CONFIG_KEY_$n=remote.origin.url" "GIT_CONFIG_VALUE_$n=."
fi
"$goreleaser" release --clean --parallelism 2 --skip "$skip" "$@"
echo
(cd build/release && sha256sum --check --quiet SHA256SUMS && ls -1 ./*.tar.gz ./*.deb ./*.json SHA256SUMS*)
