"""What a mutant is, and how its changes are laid over the source that is imported.

Rules that hold here: each old text stands in its file exactly once; nothing of the project is imported from here,
because what was imported before the changes are in place would stay as it was; no byte code is read or written.
"""

from __future__ import annotations

import importlib.abc
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

ROOT = Path(__file__).resolve().parents[3]
"""Where the checkout is."""


class Moved(Exception):
    """The code that a mutant changes is not where it was."""


@dataclass(frozen=True, slots=True)
class Hunk:
    """One change. file: from the checkout's root. old: stands there exactly once. new: what it becomes."""

    file: str
    old: str
    new: str

    @property
    def module(self) -> str:
        """The name under which the file is imported."""
        return self.file.removeprefix("workers/").removesuffix(".py").replace("/", ".")


@dataclass(frozen=True, slots=True)
class Runs:
    """Of which kind the runs of a hunt are. profiles: of the services, in turn; none: all. faults: per cent of calls."""

    profiles: tuple[str, ...]
    faults: float

    def __str__(self) -> str:
        """As it is printed."""
        return f"{', '.join(self.profiles) or 'all profiles'}, {self.faults:g} %"


# Few kinds, each of which is quick for many mutants: the code as it is must be clean over every one of them.
ALL = Runs((), 15)
FULL = Runs(("full",), 25)
REFUSING = Runs(("refusing",), 40)
FORGETS = Runs(("forgets",), 25)
JUMPING = Runs(("jumping",), 8)
SHORT_KEYS = Runs(("short-keys",), 15)
ONCE = Runs(("once",), 25)
LAGS = Runs(("lags",), 5)
PATIENT = Runs(("patient",), 15)
WAITS = Runs(("waits",), 15)
BREAKS = Runs(("breaks",), 25)
LIARS = Runs(("liar", "liar-undone"), 25)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One seeded bug.

    rule: which rule of settling.md, or which invariant, it breaks. breaks: how, in words. runs: where it is hunted.
    """

    name: str
    rule: str
    breaks: str
    hunks: tuple[Hunk, ...]
    runs: Runs

    def files(self) -> set[str]:
        """What it changes."""
        return {hunk.file for hunk in self.hunks}

    def changed(self, file: str, source: str) -> str:
        """The source of one file with this mutant's changes.

        Raises:
            Moved: an old text does not stand there exactly once.
        """
        for hunk in self.hunks:
            if hunk.file == file:
                found = source.count(hunk.old)
                if found != 1:
                    raise Moved(
                        f"{self.name}: its place in {file} was found {found} times: the code moved: mend the mutant"
                    )
                source = source.replace(hunk.old, hunk.new)
        return source


class _Loader(SourceFileLoader):
    """Compiles a file with the changes of a mutant, each time anew."""

    mutant: Mutant
    file: str

    def get_code(self, fullname: str) -> CodeType:
        """The changed source, compiled."""
        del fullname
        source = self.get_data(self.path).decode()
        return compile(self.mutant.changed(self.file, source), self.path, "exec", dont_inherit=True)


class Finder(importlib.abc.MetaPathFinder):
    """Finds the modules that a mutant changes before anybody else does."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant
        self._files = {hunk.module: hunk.file for hunk in mutant.hunks}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's spec with a loader of ours, for the modules that are changed."""
        if fullname not in self._files:
            return None
        found = PathFinder.find_spec(fullname, path, target)
        if found is None or found.origin is None:
            raise Moved(f"{self._mutant.name}: there is no module {fullname}: mend the mutant")
        loader = _Loader(fullname, found.origin)
        loader.mutant, loader.file = self._mutant, self._files[fullname]
        found.loader = loader
        return found


def lay_over(mutant: Mutant) -> None:
    """From now on, what is imported has this mutant's changes.

    Raises:
        Moved: a module that it changes was imported before.
    """
    early = sorted({hunk.module for hunk in mutant.hunks} & set(sys.modules))
    if early:
        raise Moved(f"{mutant.name}: {early[0]} was imported before the changes were in place")
    sys.meta_path.insert(0, Finder(mutant))
