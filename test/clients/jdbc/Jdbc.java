// Jdbc: pgjdbc against the gateway - types both ways, server-prepared statements, fetch sizes, cursors,
// cancel, errors, batches, COPY both ways and metadata. Ends with "N passed, N failed".

import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Array;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.Date;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Properties;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;
import org.postgresql.util.PGobject;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

public class Jdbc {
  static int passed = 0;
  static int failed = 0;

  interface Work {
    Object run() throws Exception;
  }

  static void check(String name, Object expected, Work work) {
    Object actual;
    try {
      actual = work.run();
    } catch (SQLException thrown) {
      actual = thrown.getSQLState();
      if (!Objects.equals(expected, actual)) actual = thrown.toString();
    } catch (Exception thrown) {
      actual = thrown.toString();
    }
    if (expected instanceof byte[] && actual instanceof byte[]
        ? Arrays.equals((byte[]) expected, (byte[]) actual)
        : Objects.equals(expected, actual)) {
      passed++;
    } else {
      failed++;
      System.out.println("not ok " + name + ": expected " + expected + " but got " + actual);
    }
  }

  static Object one(Connection connection, String sql, Object parameter, Class<?> type) throws Exception {
    try (PreparedStatement statement = connection.prepareStatement(sql)) {
      statement.setObject(1, parameter);
      try (ResultSet rows = statement.executeQuery()) {
        rows.next();
        return type == null ? rows.getObject(1) : rows.getObject(1, type);
      }
    }
  }

  static Object first(Connection connection, String sql) throws Exception {
    try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(sql)) {
      rows.next();
      return rows.getObject(1);
    }
  }

  static Connection connect(String... options) throws Exception {
    Properties properties = new Properties();
    properties.setProperty("user", System.getenv("PGUSER"));
    properties.setProperty("password", System.getenv("PGPASSWORD"));
    for (int i = 0; i < options.length; i += 2) properties.setProperty(options[i], options[i + 1]);
    String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE");
    return DriverManager.getConnection(url, properties);
  }

  static void types(Connection connection, String mode) {
    OffsetDateTime moment = OffsetDateTime.of(2024, 2, 29, 12, 34, 56, 789_000_000, ZoneOffset.UTC);
    UUID uuid = UUID.fromString("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
    // Twice past the threshold at which the driver turns to named statements and binary values.
    for (int round = 0; round < 7; round++) {
      String at = mode + " round " + round + " ";
      check(at + "int", 7, () -> one(connection, "SELECT ?::int", 7, null));
      check(at + "bigint", 9223372036854775807L, () -> one(connection, "SELECT ?::bigint", Long.MAX_VALUE, null));
      check(at + "numeric", new BigDecimal("12345.678900"), () -> one(connection, "SELECT ?::numeric", new BigDecimal("12345.678900"), null));
      check(at + "double", 0.1, () -> one(connection, "SELECT ?::float8", 0.1, null));
      check(at + "real", 2.5f, () -> one(connection, "SELECT ?::real", 2.5f, null));
      check(at + "text", "ä€😀", () -> one(connection, "SELECT ?::text", "ä€😀", null));
      check(at + "boolean", true, () -> one(connection, "SELECT ?::boolean", true, null));
      check(at + "date", LocalDate.of(2024, 2, 29), () -> one(connection, "SELECT ?::date", LocalDate.of(2024, 2, 29), LocalDate.class));
      check(at + "time", LocalTime.of(12, 34, 56), () -> one(connection, "SELECT ?::time", LocalTime.of(12, 34, 56), LocalTime.class));
      check(at + "timestamp", LocalDateTime.of(2024, 2, 29, 12, 34, 56), () -> one(connection, "SELECT ?::timestamp", LocalDateTime.of(2024, 2, 29, 12, 34, 56), LocalDateTime.class));
      check(at + "timestamptz", moment, () -> one(connection, "SELECT ?::timestamptz", moment, OffsetDateTime.class));
      check(at + "bytea", new byte[] {0, 1, -1}, () -> one(connection, "SELECT ?::bytea", new byte[] {0, 1, -1}, null));
      check(at + "uuid", uuid, () -> one(connection, "SELECT ?::uuid", uuid, null));
      check(at + "null", null, () -> one(connection, "SELECT ?::int", null, null));
      check(at + "array", "[1, null, 3]", () -> {
        Array array = connection.createArrayOf("int4", new Object[] {1, null, 3});
        return Arrays.toString((Object[]) ((Array) one(connection, "SELECT ?::int[]", array, null)).getArray());
      });
    }
  }

  /** Values as a real PostgreSQL prints them, and texts that it refuses; those that need settings are left out. */
  static List<Map<String, String>> wireValues() throws Exception {
    Pattern field = Pattern.compile("\"(\\w+)\":\\s*\"((?:[^\"\\\\]|\\\\.)*)\"");
    List<Map<String, String>> values = new ArrayList<>();
    for (Matcher found = field.matcher(Files.readString(Path.of("test/clients/wire-values.json"))); found.find(); ) {
      if (found.group(1).equals("type")) values.add(new HashMap<>());
      values.get(values.size() - 1).put(found.group(1), unescaped(found.group(2)));
    }
    values.removeIf((value) -> !List.of("type", "input", "text", "hex", "error").containsAll(value.keySet()));
    for (Map<String, String> value : values) value.putIfAbsent("input", value.get("text"));
    return values;
  }

  static String unescaped(String text) {
    StringBuilder out = new StringBuilder();
    for (int i = 0; i < text.length(); i++) {
      char letter = text.charAt(i);
      if (letter != '\\') {
        out.append(letter);
        continue;
      }
      letter = text.charAt(++i);
      if (letter == 'u') {
        out.append((char) Integer.parseInt(text.substring(i + 1, i + 5), 16));
        i += 4;
      } else out.append(letter == 'n' ? '\n' : letter == 't' ? '\t' : letter);
    }
    return out.toString();
  }

  static PGobject untyped(String type, String text) throws SQLException {
    PGobject value = new PGobject();
    value.setType(type);
    value.setValue(text);
    return value;
  }

  /** Every type by its text, given as a value that has no type of the driver's own. */
  static void texts(Connection connection) throws Exception {
    for (Map<String, String> value : wireValues()) {
      String type = value.get("type");
      String sql = "SELECT ?::" + type;
      String error = value.get("error");
      if (error != null) {
        check(type + " " + value.get("input") + " refused", error, () -> one(connection, sql, untyped("unknown", value.get("input")), null));
        continue;
      }
      check(type + " " + value.get("input"), value.get("text"), () -> {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
          statement.setObject(1, untyped("unknown", value.get("input")));
          try (ResultSet rows = statement.executeQuery()) {
            rows.next();
            return rows.getString(1);
          }
        }
      });
      check(type + " null", null, () -> one(connection, sql, null, null));
    }
  }

  static void cursors(Connection connection) {
    check("a named portal, past the threshold", 7 * 1133, () -> {
      connection.setAutoCommit(false);
      int count = 0;
      try (PreparedStatement statement = connection.prepareStatement("SELECT * FROM silver.orders WHERE order_id > ?")) {
        statement.setFetchSize(50);
        for (int i = 0; i < 7; i++) {
          statement.setLong(1, -1);
          try (ResultSet rows = statement.executeQuery()) {
            while (rows.next()) count++;
          }
        }
      }
      connection.commit();
      connection.setAutoCommit(true);
      return count;
    });
    check("a limit of rows", 10, () -> {
      int count = 0;
      try (Statement statement = connection.createStatement()) {
        statement.setMaxRows(10);
        try (ResultSet rows = statement.executeQuery("SELECT i FROM generate_series(1, 1000000000) i")) {
          while (rows.next()) count++;
        }
      }
      return count;
    });
    check("two portals by turns", "[1, 1, 2, 2, 3, 3]", () -> {
      connection.setAutoCommit(false);
      List<Integer> found = new ArrayList<>();
      try (Statement one = connection.createStatement(); Statement other = connection.createStatement()) {
        one.setFetchSize(1);
        other.setFetchSize(1);
        ResultSet ones = one.executeQuery("SELECT i FROM generate_series(1, 3) i");
        ResultSet others = other.executeQuery("SELECT i FROM generate_series(1, 3) i");
        while (ones.next() && others.next()) {
          found.add(ones.getInt(1));
          found.add(others.getInt(1));
        }
      }
      connection.commit();
      connection.setAutoCommit(true);
      return found.toString();
    });
    check("DECLARE, MOVE and FETCH", "[4, 5]", () -> {
      connection.setAutoCommit(false);
      List<Integer> found = new ArrayList<>();
      try (Statement statement = connection.createStatement()) {
        statement.execute("DECLARE c CURSOR FOR SELECT i FROM generate_series(1, 10) i");
        statement.execute("MOVE 3 IN c");
        try (ResultSet rows = statement.executeQuery("FETCH 2 FROM c")) {
          while (rows.next()) found.add(rows.getInt(1));
        }
        statement.execute("CLOSE c");
      }
      connection.commit();
      connection.setAutoCommit(true);
      return found.toString();
    });
    check("rows held over a commit", 1133, () -> {
      connection.setAutoCommit(false);
      int count = 0;
      try (Statement statement = connection.createStatement(ResultSet.TYPE_FORWARD_ONLY, ResultSet.CONCUR_READ_ONLY, ResultSet.HOLD_CURSORS_OVER_COMMIT)) {
        statement.setFetchSize(100);
        try (ResultSet rows = statement.executeQuery("SELECT * FROM silver.orders")) {
          connection.commit();
          while (rows.next()) count++;
        }
      }
      connection.setAutoCommit(true);
      return count;
    });
  }

  static ServerErrorMessage failure(Connection connection, String sql) throws Exception {
    try (Statement statement = connection.createStatement()) {
      statement.execute(sql);
      return null;
    } catch (PSQLException thrown) {
      return thrown.getServerErrorMessage();
    }
  }

  static void failures(Connection connection) throws Exception {
    for (String[] one : new String[][] {
      {"SELECT nothing FROM silver.orders", "42703 at 8"},
      {"SELECT * FROM nothing", "42P01 at 15"},
      {"SELECT 1 +", "42601 at 11"},
      {"SELECT '€ä😀', nothing FROM silver.orders", "42703 at 15"},
      {"SELECT 1 / 0", "22012 at 0"},
    }) {
      check("code and place of " + one[0], one[1], () -> {
        ServerErrorMessage error = failure(connection, one[0]);
        return error.getSQLState() + " at " + error.getPosition();
      });
    }
    try (Statement statement = connection.createStatement()) {
      statement.execute("DROP TABLE IF EXISTS silver.jdbc, silver.jdbc_held");
      statement.execute("CREATE TABLE silver.jdbc_held (id int NOT NULL, n int CHECK (n > 0))");
    }
    check("fields of a CHECK error", "23514 silver jdbc_held jdbc_held_n_check", () -> {
      ServerErrorMessage error = failure(connection, "INSERT INTO silver.jdbc_held VALUES (1, -1)");
      return String.join(" ", error.getSQLState(), error.getSchema(), error.getTable(), error.getConstraint());
    });
    check("a savepoint in a failed block", 7, () -> {
      connection.setAutoCommit(false);
      try {
        Savepoint savepoint = connection.setSavepoint();
        failure(connection, "SELECT 1 / 0");
        connection.rollback(savepoint);
        return first(connection, "SELECT 7");
      } finally {
        connection.commit();
        connection.setAutoCommit(true);
      }
    });
  }

  /** A table of the lake, its rows read as text and, past the threshold, in binary. */
  static void tables(Connection connection) {
    check("a table of many types", "[1, true, -7, 2.5, 0.1, 12.34500, ä, [0, 1], 2024-02-29, 2024-02-29T12:34:56.000001, [1, null], 10 nulls]", () -> {
      try (Statement statement = connection.createStatement()) {
        statement.execute("DROP TABLE IF EXISTS silver.jdbc_types");
        statement.execute("CREATE TABLE silver.jdbc_types (id bigint, b boolean, s smallint, f real, d double precision, n numeric(20,5), t text, y bytea, day date, at timestamp, list int[])");
      }
      try (PreparedStatement statement = connection.prepareStatement("INSERT INTO silver.jdbc_types VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")) {
        Object[] row = {1L, true, (short) -7, 2.5f, 0.1, new BigDecimal("12.345"), "ä", new byte[] {0, 1}, LocalDate.of(2024, 2, 29), LocalDateTime.of(2024, 2, 29, 12, 34, 56, 1000), connection.createArrayOf("int4", new Object[] {1, null})};
        for (int i = 0; i < row.length; i++) statement.setObject(i + 1, row[i]);
        statement.addBatch();
        statement.setObject(1, 2L);
        int[] types = {java.sql.Types.BOOLEAN, java.sql.Types.SMALLINT, java.sql.Types.REAL, java.sql.Types.DOUBLE, java.sql.Types.NUMERIC, java.sql.Types.VARCHAR, java.sql.Types.BINARY, java.sql.Types.DATE, java.sql.Types.TIMESTAMP, java.sql.Types.ARRAY};
        for (int i = 0; i < types.length; i++) statement.setNull(i + 2, types[i]);
        statement.addBatch();
        statement.executeBatch();
      }
      String seen = null;
      try (PreparedStatement statement = connection.prepareStatement("SELECT * FROM silver.jdbc_types WHERE id > ? ORDER BY id")) {
        for (int round = 0; round < 7; round++) {
          statement.setLong(1, 0);
          List<Object> found = new ArrayList<>();
          try (ResultSet rows = statement.executeQuery()) {
            rows.next();
            for (int i = 1; i <= 7; i++) found.add(rows.getObject(i));
            found.add(Arrays.toString(rows.getBytes(8)));
            found.add(rows.getObject(9, LocalDate.class));
            found.add(rows.getObject(10, LocalDateTime.class));
            found.add(Arrays.toString((Object[]) rows.getArray(11).getArray()));
            rows.next();
            int nulls = 0;
            for (int i = 1; i <= 11; i++) if (rows.getObject(i) == null) nulls++;
            found.add(nulls + " nulls");
          }
          if (seen != null && !seen.equals(found.toString())) return "round " + round + ": " + found;
          seen = found.toString();
        }
      }
      return seen;
    });
    check("COPY in", 3L, () -> connection.unwrap(PGConnection.class).getCopyAPI().copyIn("COPY silver.jdbc_types (id, t) FROM STDIN (FORMAT csv)", new StringReader("3,a\n4,\"b, c\"\n5,\n")));
    check("what was copied in", 5L, () -> first(connection, "SELECT count(*) FROM silver.jdbc_types"));
    check("COPY in of a wrong row", "22P02", () -> connection.unwrap(PGConnection.class).getCopyAPI().copyIn("COPY silver.jdbc_types (id) FROM STDIN", new StringReader("x\n")));
    check("a batch past the threshold", 500L, () -> {
      try (PreparedStatement statement = connection.prepareStatement("INSERT INTO silver.jdbc_types (id, t) VALUES (?, ?)")) {
        connection.setAutoCommit(false);
        for (int i = 0; i < 500; i++) {
          statement.setLong(1, 100 + i);
          statement.setString(2, "n" + i);
          statement.addBatch();
        }
        // A batch that is rewritten to statements of many rows tells -2 for each: success, of unknown count.
        long done = Arrays.stream(statement.executeBatch()).filter((n) -> n == 1 || n == Statement.SUCCESS_NO_INFO).count();
        connection.commit();
        connection.setAutoCommit(true);
        return done;
      }
    });
    check("rows of a batch", 505L, () -> first(connection, "SELECT count(*) FROM silver.jdbc_types"));
  }

  public static void main(String[] arguments) throws Exception {
    try (Connection connection = connect()) {
      types(connection, "default");
      try (Statement statement = connection.createStatement()) {
        statement.execute("SET TimeZone = 'UTC'");
      }
      failures(connection);
      cursors(connection);
      tables(connection);
      check("a table's rows", 1133L, () -> first(connection, "SELECT count(*) FROM silver.orders"));
      check("time travel", true, () -> (Long) first(connection, "SELECT count(*) FROM silver.orders VERSION AS OF 1") > 0);
      check("an unknown table", "42P01", () -> first(connection, "SELECT * FROM nothing"));
      check("an unknown column", "42703", () -> first(connection, "SELECT nothing FROM silver.orders"));
      check("division by zero", "22012", () -> first(connection, "SELECT 1 / 0"));
      check("a failed block", "25P02", () -> {
        connection.setAutoCommit(false);
        try {
          try {
            first(connection, "SELECT 1 / 0");
          } catch (SQLException expected) {
            return first(connection, "SELECT 1");
          }
          return null;
        } finally {
          connection.rollback();
          connection.setAutoCommit(true);
        }
      });
      check("a fetch size reads through portals", 1133, () -> {
        connection.setAutoCommit(false);
        int count = 0;
        try (PreparedStatement statement = connection.prepareStatement("SELECT * FROM silver.orders")) {
          statement.setFetchSize(100);
          try (ResultSet rows = statement.executeQuery()) {
            while (rows.next()) count++;
          }
        }
        connection.commit();
        connection.setAutoCommit(true);
        return count;
      });
      check("COPY out", 1133L, () -> {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        CopyManager copy = connection.unwrap(PGConnection.class).getCopyAPI();
        long count = copy.copyOut("COPY silver.orders TO STDOUT (FORMAT csv)", out);
        long lines = out.toString(StandardCharsets.UTF_8).lines().count();
        return lines == count ? count : -1;
      });
      check("cancel", "57014", () -> {
        try (Statement statement = connection.createStatement()) {
          Thread thread = new Thread(() -> {
            try {
              Thread.sleep(300);
              statement.cancel();
            } catch (Exception ignored) {
              // The check sees that nothing was cancelled.
            }
          });
          thread.start();
          return statement.executeQuery("SELECT count(*) FROM generate_series(1, 100000000000) a").next();
        }
      });
      check("a query timeout", "57014", () -> {
        try (Statement statement = connection.createStatement()) {
          statement.setQueryTimeout(1);
          return statement.executeQuery("SELECT count(*) FROM generate_series(1, 100000000000) a").next();
        }
      });
      check("a batch of inserts is one transaction", "[1, 1, 1]", () -> {
        try (Statement statement = connection.createStatement()) {
          statement.execute("CREATE TABLE silver.jdbc (id int, name text, day date)");
        }
        try (PreparedStatement statement = connection.prepareStatement("INSERT INTO silver.jdbc VALUES (?, ?, ?)")) {
          for (int i = 0; i < 3; i++) {
            statement.setInt(1, i);
            statement.setString(2, "n" + i);
            statement.setDate(3, Date.valueOf("2024-01-0" + (i + 1)));
            statement.addBatch();
          }
          return Arrays.toString(statement.executeBatch());
        }
      });
      check("what was inserted", 3L, () -> first(connection, "SELECT count(*) FROM silver.jdbc"));
      check("an update counts its rows", 2, () -> {
        try (PreparedStatement statement = connection.prepareStatement("UPDATE silver.jdbc SET name = ? WHERE id >= ?")) {
          statement.setString(1, "changed");
          statement.setInt(2, 1);
          return statement.executeUpdate();
        }
      });
      check("generated keys", 9, () -> {
        try (PreparedStatement statement = connection.prepareStatement("INSERT INTO silver.jdbc VALUES (9, 'x', NULL)", new String[] {"id"})) {
          statement.executeUpdate();
          try (ResultSet keys = statement.getGeneratedKeys()) {
            keys.next();
            return keys.getInt(1);
          }
        }
      });
      check("metadata of tables", true, () -> {
        DatabaseMetaData metadata = connection.getMetaData();
        try (ResultSet tables = metadata.getTables(null, "silver", "orders", new String[] {"TABLE"})) {
          return tables.next();
        }
      });
      check("metadata of columns", "order_id", () -> {
        try (ResultSet columns = connection.getMetaData().getColumns(null, "silver", "orders", null)) {
          columns.next();
          return columns.getString("COLUMN_NAME");
        }
      });
    }
    try (Connection connection = connect("preferQueryMode", "simple")) {
      types(connection, "simple");
      texts(connection);
    }
    try (Connection connection = connect("prepareThreshold", "-1", "binaryTransfer", "true")) {
      types(connection, "binary");
      cursors(connection);
    }
    // Values as text: what the driver makes of bytes is its own.
    try (Connection connection = connect("binaryTransfer", "false", "prepareThreshold", "1")) {
      try (Statement statement = connection.createStatement()) {
        statement.execute("SET TimeZone = 'UTC'");
      }
      texts(connection);
    }
    try (Connection connection = connect("reWriteBatchedInserts", "true")) {
      tables(connection);
    }
    System.out.println(passed + " passed, " + failed + " failed");
  }
}
