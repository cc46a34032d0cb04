"""The command line in this process: a line in, exit code and both streams out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
import structlog

from saga.cli.main import main

APP = "tests.support.desk_sagas:engine"


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended. stdout is data, stderr is talk."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        """The JSON on stdout."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def last(self) -> str:
        """What was said last."""
        return self.err.strip().splitlines()[-1]


class Shell:
    """Runs commands against one database."""

    def __init__(self, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.url = url
        self._capsys = capsys

    def bare(self, *arguments: str) -> Said:
        """As it is typed."""
        self._capsys.readouterr()
        logging = structlog.get_config()  # `worker run` rules its own process, and this one is not
        try:
            code = main(arguments)
        finally:
            structlog.configure(**logging)
        out, err = self._capsys.readouterr()
        assert "Traceback" not in err + out
        return Said(code, out, err)

    def __call__(self, *arguments: str) -> Said:
        """With --database."""
        return self.bare(*arguments, "--database", self.url)
