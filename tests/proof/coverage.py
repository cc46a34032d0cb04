"""Which lines of the rules a simulation has run: a rule that no run exercises proves nothing.

Rule that holds here: every line that decides (`saga.core` and the settlers) is either run by the simulation, or
named below with the reason why it cannot be.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType, ModuleType
from typing import Any


class Lines:
    """The lines of some modules, and which of them were run."""

    def __init__(self, *modules: ModuleType) -> None:
        """Nothing was run yet."""
        self._files = {str(module.__file__): module.__name__ for module in modules}
        self.run: set[tuple[str, int]] = set()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Note what is run inside."""
        before = sys.gettrace()
        sys.settrace(self._called)
        try:
            yield
        finally:
            sys.settrace(before)

    def missed(self) -> dict[str, list[int]]:
        """The lines of functions that were not run, by module."""
        found: dict[str, list[int]] = {}
        for file, name in self._files.items():
            with open(file, encoding="utf-8") as source:  # noqa: PTH123 - as the compiler opens it
                code = compile(source.read(), file, "exec")
            lines = {line for inner in _functions(code) for line in _lines(inner)}
            missed = sorted(line for line in lines if (file, line) not in self.run)
            if missed:
                found[name] = missed
        return found

    def _called(self, frame: FrameType, _event: str, _arg: Any) -> Any:
        return self._line if frame.f_code.co_filename in self._files else None

    def _line(self, frame: FrameType, event: str, _arg: Any) -> Any:
        if event == "line":
            self.run.add((frame.f_code.co_filename, frame.f_lineno))
        return self._line


def _functions(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_flags & 0x2:  # CO_NEWLOCALS: a function, and no class body
                yield constant
            yield from _functions(constant)


def _lines(code: CodeType) -> set[int]:
    return {line for _, line in dis.findlinestarts(code) if line != code.co_firstlineno}
