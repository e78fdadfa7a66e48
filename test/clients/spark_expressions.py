"""Spark evaluates the expressions of test/planner/spark-expressions.json to the values kept there.

With `--write` those values are written anew. Dates are days and timestamps microseconds since 1970.
Each is that of Spark's default mode, as {"unlessAnsi": value} where its ANSI mode disagrees, which is
mostly by an error. `raises` are the rows for which the gateway refuses what Spark evaluates.
"""

import decimal
import json
import math
import os
import sys

from checks import check, finish
from pyspark.sql import SparkSession

path = os.path.join(os.path.dirname(__file__), "..", "planner", "spark-expressions.json")
with open(path, encoding="utf-8") as file:
    data = json.load(file)
spark = (
    SparkSession.builder.master("local[1]")
    .config("spark.ui.enabled", "false")
    .config("spark.driver.memory", "1g")
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.ui.showConsoleProgress", "false")
    # Each expression is evaluated once: compiling it would take longer.
    .config("spark.sql.codegen.wholeStage", "false")
    .config("spark.sql.codegen.factoryMode", "NO_CODEGEN")
    .getOrCreate()
)
spark.sparkContext.setLogLevel("OFF")


def literal(value):
    return "NULL" if value is None else "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def rows():
    """A frame for each row, which Spark keeps in its driver."""
    names = list(data["columns"])
    quoted = ["`" + name.replace("`", "``") + "`" for name in names]
    items = [f"CAST({q} AS {data['columns'][name]['type']}) AS {q}" for q, name in zip(quoted, names)]
    items.append("CASE WHEN i IS NOT NULL THEN named_struct('a', CAST(i AS int), 'n', named_struct('x', x)) END AS st")
    frames = []
    for row in range(len(data["columns"][names[0]]["values"])):
        values = ", ".join(literal(data["columns"][name]["values"][row]) for name in names)
        frames.append(spark.sql(f"SELECT {', '.join(items)} FROM VALUES ({values}) AS t({', '.join(quoted)})"))
    return frames


def plain(value):
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return str(value) if math.isnan(value) or math.isinf(value) else value
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, (int, str)):
        return str(value)
    raise TypeError(str(type(value)))


PRINTED = {
    "date": "unix_date({})",
    "timestamp": "unix_micros({})",
    "timestamp_ntz": "unix_micros(CAST({} AS timestamp))",
}


def evaluate(frames, expressions):
    """The values of each expression, row by row, and its type; an error is a value of its own."""
    found = {expression: [] for expression in expressions}
    types = {}

    def take(frame, part):
        try:
            result = frame.selectExpr(*[f"({e}) AS c{n}" for n, e in enumerate(part)])
            row = result.selectExpr(*[PRINTED.get(field.dataType.simpleString(), "{}").format(field.name) for field in result.schema]).collect()[0]
        except Exception as error:  # noqa: BLE001
            if len(part) == 1:
                found[part[0]].append({"error": type(error).__name__})
                return
            take(frame, part[: len(part) // 2])
            take(frame, part[len(part) // 2 :])
            return
        for n, e in enumerate(part):
            found[e].append(plain(row[n]))
            types[e] = result.schema[n].dataType.simpleString()

    for frame in frames:
        for start in range(0, len(expressions), 20):
            take(frame, expressions[start : start + 20])
    return found, types


expressions = [case["expression"] for case in data["cases"]]
answers = {}
for ansi in ("false", "true"):
    spark.conf.set("spark.sql.ansi.enabled", "false")
    frames = rows()
    spark.conf.set("spark.sql.ansi.enabled", ansi)
    answers[ansi], types = evaluate(frames, expressions)
    if ansi == "false":
        plain_types = types
for case in data["cases"]:
    expression = case["expression"]
    values = [
        a if json.dumps(a) == json.dumps(b) else {"unlessAnsi": a}
        for a, b in zip(answers["false"][expression], answers["true"][expression])
    ]
    if "--write" in sys.argv:
        case["type"] = plain_types.get(expression)
        case["values"] = values
    else:
        check(f"Spark evaluates {expression}", [case["type"], case["values"]], [plain_types.get(expression), values])
if "--write" in sys.argv:
    with open(path, "w", encoding="utf-8") as file:
        parts = {"columns": data["columns"]}
        text = json.dumps(parts, ensure_ascii=False, indent=2)[:-2] + ',\n  "cases": [\n'
        text += ",\n".join("    " + json.dumps(case, ensure_ascii=False) for case in data["cases"])
        file.write(text + "\n  ]\n}\n")
spark.stop()
finish()
