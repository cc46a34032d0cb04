"""Reads what `make demo` printed and fails unless its last line is an honest audit: no double charge of ours, some of theirs."""

import json
import sys


def main() -> None:
    """The last line of stdin is the JSON line; nothing may follow it."""
    line = sys.stdin.read().rstrip("\n").rsplit("\n", 1)[-1]
    audit = json.loads(line)
    orders = sum(audit[name] for name in ("confirmed", "declined", "try_again", "processing"))
    wrong = [name for name in ("double_charges", "orphan_charges", "wrong_answers") if audit[name] != 0]
    assert audit["v"] == 1, "the line's version"
    assert orders == audit["orders"], "every order is exactly one of the four"
    assert wrong == [], f"not zero: {wrong}"
    assert audit["naive_double_charges"] > 0, "the naive column shows nothing: the faults did not bite"
    print(line, file=sys.stderr)


if __name__ == "__main__":
    main()
