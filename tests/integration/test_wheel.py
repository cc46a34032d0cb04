"""The wheel: what an empty environment has after `pip install saga-engine`, and what it must never have."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support import repository

pytestmark = pytest.mark.xdist_group("wheel")  # one build for the three tests

IMPORTED = """
import importlib.metadata, importlib.util, json
import saga, saga_worker
from saga.store import migrate
(script,) = importlib.metadata.distribution("saga-engine").entry_points.select(group="console_scripts")
print(json.dumps({
    "saga": saga.__file__, "saga_worker": saga_worker.__file__, "script": script.name, "command": script.load() is not None,
    "strangers": [name for name in ("workers", "migrations", "tests", "examples") if importlib.util.find_spec(name)],
}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of what is committed or about to be, built with no network."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for path in repository.files():
        copy = source / path.relative_to(repository.ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"),
            *("--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", str(out), str(source)),
        ],
        check=True,
    )
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_holds_two_packages_and_what_they_need(wheel: Path) -> None:
    """Only `saga` and `saga_worker`, with the migrations and the shop of the demo inside `saga`."""
    names = zipfile.ZipFile(wheel).namelist()
    roots = {name.split("/")[0] for name in names}
    assert {root for root in roots if not root.endswith(".dist-info")} == {"saga", "saga_worker"}
    for wanted in ("saga/py.typed", "saga_worker/py.typed", "saga/migrations/env.py", "saga/demo/shop/"):
        assert any(name.startswith(wanted) for name in names), wanted
    in_house = {path.name for path in (repository.ROOT / "migrations" / "versions").glob("*.py")}
    assert in_house <= {
        name.rsplit("/", 1)[1] for name in names if name.startswith("saga/migrations/versions/")
    }
    assert not [name for name in names if "__pycache__" in name or name.startswith("saga/dev/tests")]


def test_an_empty_environment_has_everything_and_no_strangers(wheel: Path, tmp_path: Path) -> None:
    """Installed, both packages come from the environment, the command loads, and nothing else came along."""
    python = _installed(wheel, tmp_path)
    run = subprocess.run(
        [python, "-c", IMPORTED],
        cwd=tmp_path,
        env=_with_dependencies(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert Path(found["saga"]).is_relative_to(tmp_path)
    assert Path(found["saga_worker"]).is_relative_to(tmp_path)
    assert (found["script"], found["command"], found["strangers"]) == ("saga", True, [])
    assert (Path(python).parent / "saga").exists()


def test_the_installed_migrations_make_the_schema(
    wheel: Path, tmp_path: Path, empty_database_url: str
) -> None:
    """`saga db upgrade` works from the wheel: the migrations that it runs are the installed ones."""
    python = _installed(wheel, tmp_path)
    code = "import sys; from saga.store import migrate; migrate.upgrade(sys.argv[1], 'saga')"
    run = subprocess.run(
        [python, "-c", code, empty_database_url],
        cwd=tmp_path, env=_with_dependencies(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr


def _installed(wheel: Path, place: Path) -> str:
    """The Python of a new environment with the wheel and nothing else in it."""
    venv.create(place / "environment", with_pip=False)
    python = str(place / "environment" / "bin" / "python")
    subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "pip",
                "--python",
                python,
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ),
            *("--no-deps", "--no-index", str(wheel)),
        ],
        check=True,
    )
    return python


def _with_dependencies() -> dict[str, str]:
    """The dependencies come from this environment, whose editable install of saga is a .pth that PYTHONPATH ignores."""
    return {**os.environ, "PYTHONPATH": sysconfig.get_path("purelib")}
