# Functions of the tool.sh of each generator of OpenAPI Generator. They run in the root of the repository.

umask 022
version=7.25.0
# A process that ends after some seconds runs in half the time without Java's second compiler.
quick="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
maven="mvn -q -B -C -Dstyle.color=never" # -C: a wrong checksum fails
from=$(dirname "$0")
jar=build/sdk-matrix/openapi-generator-cli-$version.jar

# needs COMMAND SENTENCE ends with the exit code 75 where a command is not installed.
needs() {
  command -v "$1" >/dev/null || {
    echo "$2" >&2
    exit 75
  }
}

# print_version prints the line of the table. It comes first, so it checks what every generator needs.
print_version() {
  java="A JDK 17 or newer and Maven are needed for OpenAPI Generator: install them, such as with apt-get install default-jdk-headless maven"
  needs javac "$java"
  needs mvn "$java"
  major=$(javac -version 2>&1 | sed 's/^javac \([0-9]*\).*/\1/')
  [ "$major" -ge 17 ] 2>/dev/null || {
    echo "$java" >&2
    exit 75
  }
  echo "$version"
}

# generate GENERATOR [OPTION...] generates a client into $OUT/client.
generate() {
  if [ ! -e "$jar" ]; then
    echo "Fetching OpenAPI Generator $version (30 MB)"
    $maven org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy \
      "-Dartifact=org.openapitools:openapi-generator-cli:$version:jar" "-DoutputDirectory=$PWD/build/sdk-matrix"
  fi
  rm -rf "$OUT/client"
  generator=$1
  shift
  java $quick -jar "$jar" generate --input-spec openapi.yaml --generator-name "$generator" --output "$OUT/client" "$@"
}
