// Metadata: every method of pgjdbc's DatabaseMetaData, its rows printed to be compared with another server's.

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.TreeMap;

public class Metadata {
  // What a method is called with where defaults would find nothing.
  static final Object[][] CALLS = {
    {"getTables", null, null, "%", null},
    {"getTables", null, "shop", "%", new String[] {"TABLE", "VIEW"}},
    {"getColumns", null, "shop", "%", "%"},
    {"getColumns", null, "pg_catalog", "pg_class", "rel%"},
    {"getPrimaryKeys", null, "shop", "customers"},
    {"getIndexInfo", null, "shop", "customers", false, false},
    {"getIndexInfo", null, "pg_catalog", "pg_class", true, true},
    {"getImportedKeys", null, "shop", "orders"},
    {"getExportedKeys", null, "shop", "customers"},
    {"getCrossReference", null, "shop", "customers", null, "shop", "orders"},
    {"getBestRowIdentifier", null, "shop", "customers", 0, true},
    {"getVersionColumns", null, "shop", "customers"},
    {"getTablePrivileges", null, "shop", "%"},
    {"getColumnPrivileges", null, "shop", "customers", "%"},
    {"getFunctions", null, "pg_catalog", "pg_get_v%"},
    {"getFunctionColumns", null, "pg_catalog", "array_app%", "%"},
    {"getProcedures", null, null, "%"},
    {"getProcedureColumns", null, "pg_catalog", "array_app%", "%"},
    {"getUDTs", null, "shop", "%", null},
    {"getSchemas", null, "%"},
  };

  public static void main(String[] args) throws Exception {
    Properties properties = new Properties();
    properties.setProperty("user", "lakegate");
    String url = "jdbc:postgresql://127.0.0.1:" + args[0] + "/" + args[1];
    try (Connection connection = DriverManager.getConnection(url, properties)) {
      DatabaseMetaData metadata = connection.getMetaData();
      TreeMap<String, String> answers = new TreeMap<>();
      for (Method method : DatabaseMetaData.class.getMethods()) {
        if (method.getParameterCount() == 0 && !method.getName().equals("getConnection")) answers.put(method.getName(), call(metadata, method));
      }
      for (Object[] given : CALLS) {
        for (Method method : DatabaseMetaData.class.getMethods()) {
          if (!method.getName().equals(given[0]) || method.getParameterCount() != given.length - 1) continue;
          Object[] values = Arrays.copyOfRange(given, 1, given.length);
          answers.put(given[0] + Arrays.deepToString(values), call(metadata, method, values));
        }
      }
      answers.forEach((name, answer) -> System.out.println("## " + name + "\n" + answer));
      System.out.println("## ResultSetMetaData\n" + resultColumns(connection));
    }
  }

  static String call(DatabaseMetaData metadata, Method method, Object... values) throws Exception {
    try {
      Object answer = method.invoke(metadata, values);
      return answer instanceof ResultSet ? rows((ResultSet) answer) : String.valueOf(answer);
    } catch (InvocationTargetException thrown) {
      return "threw " + thrown.getCause().getMessage();
    }
  }

  static String rows(ResultSet result) throws Exception {
    try (ResultSet rows = result) {
      ResultSetMetaData columns = rows.getMetaData();
      List<String> lines = new ArrayList<>();
      while (rows.next()) {
        List<String> cells = new ArrayList<>();
        for (int i = 1; i <= columns.getColumnCount(); i++) {
          cells.add(columns.getColumnLabel(i) + "=" + rows.getString(i));
        }
        lines.add(String.join("|", cells));
      }
      lines.sort(null);
      return String.join("\n", lines);
    }
  }

  // Executed often enough that pgjdbc prepares it at the server and asks for binary.
  static String resultColumns(Connection connection) throws Exception {
    String sql = "SELECT c.oid, c.relname, c.relkind, c.relnatts, c.reltuples, a.attname, i.indkey, i.indclass"
        + " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid LEFT JOIN pg_index i ON i.indrelid = c.oid"
        + " WHERE c.relname = ? AND a.attnum > ? ORDER BY a.attnum";
    String answer = "";
    try (PreparedStatement statement = connection.prepareStatement(sql)) {
      for (int i = 0; i < 8; i++) {
        statement.setString(1, "customers");
        statement.setInt(2, 0);
        answer = rows(statement.executeQuery());
      }
      ResultSetMetaData columns = statement.getMetaData();
      for (int i = 1; i <= columns.getColumnCount(); i++) {
        answer += "\n" + columns.getColumnName(i) + " " + columns.getColumnTypeName(i) + " "
            + columns.getTableName(i) + " " + columns.isNullable(i) + " " + columns.getPrecision(i);
      }
    }
    return answer;
  }
}
