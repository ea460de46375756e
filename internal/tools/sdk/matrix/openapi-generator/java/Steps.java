import java.util.List;
import java.util.Objects;
import java.util.UUID;

/** What the programs with Java clients share: their environment, and the lines that ../../main.go reads. */
final class Steps {
  static final UUID UNKNOWN = UUID.fromString("00000000-0000-4000-8000-000000000000");

  interface Attempt {
    void run() throws Exception;
  }

  private Steps() {}

  static String variable(String name) {
    return Objects.requireNonNull(System.getenv("INVITED_TEST_" + name), name);
  }

  static void step(String name, Attempt attempt) {
    try {
      attempt.run();
      System.out.println("step " + name + " ok");
    } catch (Exception e) {
      System.out.println("step " + name + " failed: " + e.toString().replaceAll("\\s+", " "));
    }
  }

  static void same(Object got, Object wanted) {
    if (!Objects.equals(got, wanted)) {
      throw new IllegalStateException("got " + got + " instead of " + wanted);
    }
  }

  /** Fails where the filter of a list had no effect. */
  static void onlyCanceled(List<UUID> uuids) {
    same(uuids, List.of(UUID.fromString(variable("CANCELED"))));
  }
}
