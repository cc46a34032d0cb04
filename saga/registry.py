"""The sagas that an engine knows: validated as a whole, found by name and version.

Rule that holds here: an engine with one wrong definition is not built, and every problem of every definition
is shown at once.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

from saga.checks import deadline_warnings, saga_problems, service_problems, step_problems
from saga.definition import SagaDefinition
from saga.errors import DefinitionError, DefinitionWarning, NotFoundError
from saga.service import Service
from saga.steps import Step


class Registry:
    """The definitions of one engine.

    Args:
        sagas: what `@saga` gave. Several versions of one saga may stand side by side.

    Raises:
        DefinitionError: something in them cannot work; shows every problem.
    """

    def __init__(self, sagas: Iterable[SagaDefinition[Any, Any]]) -> None:
        self.sagas: dict[tuple[str, int], SagaDefinition[Any, Any]] = {}
        problems: list[str] = []
        for one in sagas:
            if _is_definition(one):
                self._add(one, problems)
            else:
                problems.append(f"{one!r} is no saga: decorate it with @saga")
        definitions = list(self.sagas.values())
        problems += [said for one in definitions for said in saga_problems(one)]
        problems += [said for step in self.steps() for said in step_problems(step)]
        problems += service_problems(self.services())
        if problems:
            raise DefinitionError(dict.fromkeys(problems))
        for said in (said for one in definitions for said in deadline_warnings(one)):
            warnings.warn(said, DefinitionWarning, stacklevel=3)

    def _add(self, one: SagaDefinition[Any, Any], problems: list[str]) -> None:
        if self.sagas.setdefault((one.name, one.version), one) is not one:
            problems.append(f"saga {one.name}: version {one.version} is there twice: raise one of them")

    def find(self, name: str, version: int | None = None) -> SagaDefinition[Any, Any]:
        """The saga of this name, and of this version or the highest.

        Raises:
            NotFoundError: there is none; the sentence names those that there are.
        """
        versions = [known for known_name, known in self.sagas if known_name == name]
        wanted = max(versions, default=None) if version is None else version
        if wanted is None or wanted not in versions:
            what = f"saga {name}" if not versions or version is None else f"version {version} of saga {name}"
            known = ", ".join(sorted({known_name for known_name, _ in self.sagas})) or "none"
            there = f"its versions are {sorted(versions)}" if versions else f"known sagas: {known}"
            raise NotFoundError(f"there is no {what} in this engine; {there}")
        return self.sagas[name, wanted]

    def steps(self) -> list[Step[..., Any]]:
        """Every step of every saga, once."""
        every = {id(step): step for one in self.sagas.values() for step in one.steps.values()}
        return list(every.values())

    def services(self) -> list[Service]:
        """Every service of every step, once."""
        return list({id(step.service): step.service for step in self.steps()}.values())


def _is_definition(thing: object) -> bool:
    """Whether it is what `@saga` gives: a caller without a type checker may hand us anything."""
    return isinstance(thing, SagaDefinition)
