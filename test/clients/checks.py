"""Counts checks for the Python clients; prints a line for each and the sum."""

import json
import os
import sys

passed = 0
failed = 0


def check(name, expected, actual):
    """Compares; what is callable is called, and its error counts as its SQLSTATE."""
    global passed, failed
    if callable(actual):
        actual = code_of(actual)
    if actual == expected:
        passed += 1
        print("ok " + name.replace("\n", "\\n"))
    else:
        failed += 1
        print("not ok " + name.replace("\n", "\\n") + f": got {actual!r} instead of {expected!r}")


def code_of(run):
    """What `run` returns, or the SQLSTATE it fails with."""
    try:
        return run()
    except Exception as error:
        for name in ("sqlstate", "pgcode"):
            if getattr(error, name, None):
                return getattr(error, name)
        return f"{type(error).__name__}: {error}"


def _values():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "wire-values.json")
    with open(path, encoding="utf-8") as file:
        return [value for value in json.load(file) if "settings" not in value]


def wire_values():
    """Values as a real PostgreSQL prints and sends them: type, input, text and hex."""
    return [{"input": value["text"], **value} for value in _values() if "error" not in value]


def refused_values():
    """Texts that are no values of their types: type, input and error."""
    return [value for value in _values() if "error" in value]


def finish():
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)
