// Kernel: Delta's own Java kernel, which shares no code with Spark's reader nor with delta-rs, reads
// every table that was written for others. Ends with "N passed, N failed".

import io.delta.kernel.Scan;
import io.delta.kernel.Snapshot;
import io.delta.kernel.Table;
import io.delta.kernel.data.ArrayValue;
import io.delta.kernel.data.ColumnVector;
import io.delta.kernel.data.ColumnarBatch;
import io.delta.kernel.data.FilteredColumnarBatch;
import io.delta.kernel.data.MapValue;
import io.delta.kernel.data.Row;
import io.delta.kernel.defaults.engine.DefaultEngine;
import io.delta.kernel.engine.Engine;
import io.delta.kernel.internal.InternalScanFileUtils;
import io.delta.kernel.internal.data.ScanStateRow;
import io.delta.kernel.internal.util.Utils;
import io.delta.kernel.types.*;
import io.delta.kernel.utils.CloseableIterator;
import io.delta.kernel.utils.FileStatus;
import java.io.File;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;

public class Kernel {
  static int passed = 0;
  static int failed = 0;
  static final Engine ENGINE = DefaultEngine.create(new Configuration());

  public static void main(String[] args) {
    File[] folders = new File(System.getenv("LAKEGATE_WRITTEN_TABLES")).listFiles(File::isDirectory);
    Arrays.sort(folders);
    for (File folder : folders) {
      if (!new File(folder, "_delta_log").exists()) continue;
      String name = "the kernel reads " + folder.getName();
      try {
        Map<String, Integer> differing = differences(folder);
        if (differing.isEmpty()) {
          passed++;
          System.out.println("ok " + name);
        } else fail(name, differing.toString());
      } catch (Exception thrown) {
        fail(name, thrown.toString());
      }
    }
    System.out.println(passed + " passed, " + failed + " failed");
    System.exit(failed == 0 ? 0 : 1);
  }

  static void fail(String name, String why) {
    failed++;
    System.out.println("not ok " + name + ": " + why.substring(0, Math.min(600, why.length())));
  }

  /** Rows that the table has more (or fewer) of than the file beside it, at most a few of them. */
  static Map<String, Integer> differences(File folder) throws Exception {
    Snapshot snapshot = Table.forPath(ENGINE, folder.toString()).getLatestSnapshot(ENGINE);
    Map<String, Integer> counts = new HashMap<>();
    // The kernel reads times in partition values to the millisecond only, unlike all other readers.
    Set<String> rounded = new HashSet<>(snapshot.getPartitionColumnNames());
    readTable(snapshot, counts, rounded);
    File expected = new File(folder + ".parquet");
    FileStatus status = FileStatus.of(expected.toString(), expected.length(), 0L);
    try (CloseableIterator<ColumnarBatch> batches = read(status, snapshot.getSchema())) {
      while (batches.hasNext()) count(batches.next(), Optional.empty(), counts, -1, rounded);
    }
    Map<String, Integer> differing = new TreeMap<>();
    counts.forEach((row, n) -> {
      if (n != 0 && differing.size() < 4) differing.put(row, n);
    });
    return differing;
  }

  static void readTable(Snapshot snapshot, Map<String, Integer> counts, Set<String> rounded)
      throws Exception {
    Scan scan = snapshot.getScanBuilder().build();
    Row state = scan.getScanState(ENGINE);
    StructType physical = ScanStateRow.getPhysicalDataReadSchema(ENGINE, state);
    try (CloseableIterator<FilteredColumnarBatch> files = scan.getScanFiles(ENGINE)) {
      while (files.hasNext()) {
        try (CloseableIterator<Row> rows = files.next().getRows()) {
          while (rows.hasNext()) {
            Row file = rows.next();
            FileStatus status = InternalScanFileUtils.getAddFileStatus(file);
            try (CloseableIterator<FilteredColumnarBatch> data =
                Scan.transformPhysicalData(ENGINE, state, file, read(status, physical))) {
              while (data.hasNext()) {
                FilteredColumnarBatch batch = data.next();
                count(batch.getData(), batch.getSelectionVector(), counts, 1, rounded);
              }
            }
          }
        }
      }
    }
  }

  static CloseableIterator<ColumnarBatch> read(FileStatus file, StructType schema) throws Exception {
    return ENGINE
        .getParquetHandler()
        .readParquetFiles(Utils.singletonCloseableIterator(file), schema, Optional.empty());
  }

  static void count(
      ColumnarBatch batch,
      Optional<ColumnVector> selected,
      Map<String, Integer> counts,
      int by,
      Set<String> rounded) {
    for (int row = 0; row < batch.getSize(); row++) {
      if (selected.isPresent() && (selected.get().isNullAt(row) || !selected.get().getBoolean(row)))
        continue;
      StringBuilder text = new StringBuilder();
      for (int i = 0; i < batch.getSchema().length(); i++) {
        StructField field = batch.getSchema().at(i);
        boolean isTime =
            field.getDataType() instanceof TimestampType
                || field.getDataType() instanceof TimestampNTZType;
        ColumnVector vector = batch.getColumnVector(i);
        boolean isRounded = isTime && rounded.contains(field.getName()) && !vector.isNullAt(row);
        text.append(
                isRounded ? Math.floorDiv(vector.getLong(row), 1000L) + " ms" : text(vector, row))
            .append('\u0001');
      }
      counts.merge(text.toString(), by, Integer::sum);
    }
  }

  static String text(ColumnVector vector, int row) {
    if (vector.isNullAt(row)) return "null";
    DataType type = vector.getDataType();
    if (type instanceof BooleanType) return String.valueOf(vector.getBoolean(row));
    if (type instanceof ByteType) return String.valueOf(vector.getByte(row));
    if (type instanceof ShortType) return String.valueOf(vector.getShort(row));
    if (type instanceof IntegerType || type instanceof DateType)
      return String.valueOf(vector.getInt(row));
    if (type instanceof LongType
        || type instanceof TimestampType
        || type instanceof TimestampNTZType) return String.valueOf(vector.getLong(row));
    if (type instanceof FloatType) return String.valueOf(vector.getFloat(row));
    if (type instanceof DoubleType) return String.valueOf(vector.getDouble(row));
    if (type instanceof DecimalType) return vector.getDecimal(row).toPlainString();
    if (type instanceof StringType) return vector.getString(row);
    if (type instanceof BinaryType) return Arrays.toString(vector.getBinary(row));
    if (type instanceof StructType) {
      StringBuilder parts = new StringBuilder("(");
      for (int i = 0; i < ((StructType) type).length(); i++)
        parts.append(text(vector.getChild(i), row)).append(',');
      return parts.append(')').toString();
    }
    if (type instanceof ArrayType) {
      ArrayValue array = vector.getArray(row);
      StringBuilder parts = new StringBuilder("[");
      for (int i = 0; i < array.getSize(); i++)
        parts.append(text(array.getElements(), i)).append(',');
      return parts.append(']').toString();
    }
    if (type instanceof MapType) {
      MapValue map = vector.getMap(row);
      TreeMap<String, String> entries = new TreeMap<>();
      for (int i = 0; i < map.getSize(); i++)
        entries.put(text(map.getKeys(), i), text(map.getValues(), i));
      return entries.toString();
    }
    throw new IllegalArgumentException("no text for " + type);
  }
}
