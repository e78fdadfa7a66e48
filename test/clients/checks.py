"""Counts checks for the Python clients; prints a line for each and the sum."""

import sys

passed = 0
failed = 0


def check(name, expected, actual):
    global passed, failed
    if actual == expected:
        passed += 1
        print(f"ok {name}")
    else:
        failed += 1
        print(f"not ok {name}: got {actual!r} instead of {expected!r}")


def finish():
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)
