# Functions of the tool.sh of the generators for Java. ../lib.sh comes first.

# compile compiles the client with the dependencies of the client's own pom.xml, and the program, where a warning fails.
compile() {
  if ! cmp -s "$OUT/client/pom.xml" "$OUT/installed-pom.xml"; then
    $maven -f "$OUT/client/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath \
      "-Dmdep.outputFile=$OUT/classpath"
    cp "$OUT/client/pom.xml" "$OUT/installed-pom.xml"
  fi
  rm -rf "$OUT/classes"
  find "$OUT/client/src/main/java" -name '*.java' >"$OUT/sources"
  # Warnings of generated code are in the log; people can't avoid them.
  javac -J-XX:TieredStopAtLevel=1 -Xlint:all -encoding UTF-8 -cp "$(cat "$OUT/classpath")" -d "$OUT/classes" "@$OUT/sources"
  javac -J-XX:TieredStopAtLevel=1 -Xlint:all -Werror -encoding UTF-8 -cp "$OUT/classes:$(cat "$OUT/classpath")" -d "$OUT/classes" -implicit:none \
    "$from/Play.java" internal/tools/sdk/matrix/openapi-generator/java/Steps.java
}

play() {
  java $quick -cp "$OUT/classes:$(cat "$OUT/classpath")" Play
}
