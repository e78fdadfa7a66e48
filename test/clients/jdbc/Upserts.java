// Upserts: concurrent upserts by pgjdbc, alone and in blocks, whose totals are exact.
// LAKEGATE_UPSERT_SECONDS (5): how long they go on. Ends with "N passed, N failed".

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLongArray;

public class Upserts {
  static final int KEYS = 12;
  static final String UPSERT =
      "INSERT INTO silver.upserts_jdbc AS t VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET n = t.n + EXCLUDED.n";
  static final String MERGE =
      "MERGE INTO silver.upserts_jdbc t USING (VALUES (?::bigint, ?::bigint)) s(id, n) ON t.id = s.id"
          + " WHEN MATCHED THEN UPDATE SET n = t.n + s.n WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.n)";

  static int passed = 0;
  static int failed = 0;

  static void check(String name, String expected, String actual) {
    if (expected.equals(actual)) passed++;
    else {
      failed++;
      System.out.println("not ok " + name + ": expected " + expected + " but got " + actual);
    }
  }

  static Connection connect() throws SQLException {
    Properties properties = new Properties();
    properties.setProperty("user", System.getenv("PGUSER"));
    properties.setProperty("password", System.getenv("PGPASSWORD"));
    return DriverManager.getConnection("jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE"), properties);
  }

  static void run(PreparedStatement statement, long id, long n) throws SQLException {
    statement.setLong(1, id);
    statement.setLong(2, n);
    int count = statement.executeUpdate();
    if (count != 1) throw new IllegalStateException(count + " rows");
  }

  public static void main(String[] arguments) throws Exception {
    String given = System.getenv("LAKEGATE_UPSERT_SECONDS");
    double seconds = given == null ? 5 : Double.parseDouble(given);
    try (Connection admin = connect(); Statement statement = admin.createStatement()) {
      statement.execute("DROP TABLE IF EXISTS silver.upserts_jdbc");
      statement.execute("CREATE TABLE silver.upserts_jdbc (id bigint PRIMARY KEY, n bigint)");
    }
    AtomicLongArray totals = new AtomicLongArray(KEYS);
    AtomicInteger done = new AtomicInteger();
    ConcurrentLinkedQueue<String> failures = new ConcurrentLinkedQueue<>();
    long end = System.nanoTime() + (long) (seconds * 1e9);
    List<Thread> threads = new ArrayList<>();
    for (int client = 0; client < 4; client++) {
      int first = client;
      Thread thread = new Thread(() -> {
        try (Connection connection = connect();
            PreparedStatement upsert = connection.prepareStatement(UPSERT);
            PreparedStatement merge = connection.prepareStatement(MERGE)) {
          for (int i = 0; System.nanoTime() < end; i++) {
            int id = (first * 5 + i * 7) % KEYS;
            int n = i % 9 + 1;
            if (i % 3 < 2) run(i % 3 == 0 ? upsert : merge, id, n);
            else {
              // In a block it is the client who begins again.
              connection.setAutoCommit(false);
              for (boolean committed = false; !committed; ) {
                try {
                  run(upsert, id, n);
                  run(merge, (id + 1) % KEYS, 1);
                  connection.commit();
                  committed = true;
                } catch (SQLException thrown) {
                  connection.rollback();
                  if (!"40001".equals(thrown.getSQLState())) throw thrown;
                }
              }
              totals.incrementAndGet((id + 1) % KEYS);
              connection.setAutoCommit(true);
            }
            totals.addAndGet(id, n);
            done.incrementAndGet();
          }
        } catch (Exception thrown) {
          failures.add(thrown.toString());
        }
      });
      threads.add(thread);
      thread.start();
    }
    for (Thread thread : threads) thread.join();
    System.out.println("# pgjdbc: " + done + " in " + seconds + " s");
    check("no statement fails", "[]", failures.toString());
    long[] found = new long[KEYS];
    long[] expected = new long[KEYS];
    int rows = 0;
    int keys = 0;
    for (int i = 0; i < KEYS; i++) {
      expected[i] = totals.get(i);
      if (expected[i] != 0) keys++;
    }
    try (Connection admin = connect(); Statement statement = admin.createStatement(); ResultSet all = statement.executeQuery("SELECT id, n FROM silver.upserts_jdbc")) {
      for (; all.next(); rows++) found[all.getInt(1)] = all.getLong(2);
    }
    check("totals are exact", Arrays.toString(expected), Arrays.toString(found));
    check("a row a key", String.valueOf(keys), String.valueOf(rows));
    System.out.println(passed + " passed, " + failed + " failed");
  }
}
