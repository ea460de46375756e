#!/bin/sh
# Fails where no C compiler is installed, and tells .ci/run why the step is left out. Run it in the root of the repository,
# with the name of the step and of what needs the compiler.
set -eu

command -v "$("${GO:-go}" env CC)" >/dev/null && exit
mkdir -p "build/$1"
echo "no C compiler, which $2 needs" | tee "build/$1/left-out" >&2
exit 75
