#!/bin/sh
# Fetches Keycloak's distribution from Maven Central into a folder whose name ends in the version, as build/keycloak-26.2.5.
# Keycloak needs Java 17 or newer, and takes up to 1 GB of memory. Run it in the root of the repository.
set -eu

dir=$1
version=${dir##*-}
for each in java mvn unzip; do
  command -v "$each" >/dev/null || {
    echo "$each is not installed: get it from your package manager, such as apt-get install default-jre-headless maven unzip" >&2
    exit 1
  }
done
[ -e "$dir/bin/kc.sh" ] && exit
echo "Fetching Keycloak $version (150 MB)"
mvn -q -B dependency:copy "-Dartifact=org.keycloak:keycloak-quarkus-dist:$version:zip" -DoutputDirectory="$PWD/${dir%/*}"
unzip -q "${dir%/*}/keycloak-quarkus-dist-$version.zip" -d "${dir%/*}"
rm "${dir%/*}/keycloak-quarkus-dist-$version.zip"
