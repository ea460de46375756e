#!/bin/sh
# Builds a Go command of a version into build/bin, unless it is there, as NAME-VERSION: "install.sh PACKAGE VERSION". Run
# it in the root of the repository.
set -eu

: "${GO:=go}"
package=$1 version=$2
name=${package%/v[0-9]} # as Go names the command of a module's root
name=${name##*/}
test -x "build/bin/$name-$version" && exit
echo "Building $name $version into build/bin, once: takes some minutes at most"
mkdir -p build/bin
GOFLAGS= GOBIN="$PWD/build/bin" "$GO" install "$package@$version"
mv "build/bin/$name" "build/bin/$name-$version"
