// Jdbc: pgjdbc against the gateway - types both ways, server-prepared statements, fetch sizes, cancel,
// errors, batches, COPY out and metadata. Ends with "N passed, N failed".

import java.io.ByteArrayOutputStream;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.Array;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.Date;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.Arrays;
import java.util.Objects;
import java.util.Properties;
import java.util.UUID;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

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

  public static void main(String[] arguments) throws Exception {
    try (Connection connection = connect()) {
      types(connection, "default");
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
    }
    try (Connection connection = connect("prepareThreshold", "-1", "binaryTransfer", "true")) {
      types(connection, "binary");
    }
    System.out.println(passed + " passed, " + failed + " failed");
  }
}
