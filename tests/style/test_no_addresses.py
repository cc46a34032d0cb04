"""What is committed works for whoever clones it: it names no path of one machine and no package index."""

import re

from tests.support import repository

# Written in parts, so that this file does not find itself.
MACHINE_PATH = re.compile(r"(?<![\w.$~{}-])/(?:work|root|home|Users|mnt|opt)/[\w.-]")
INDEX = re.compile(
    "|".join(
        [
            r"--(?:extra-)?index-" + "url",
            r"--find-" + "links",
            r"--trusted-" + "host",
            r"files\.python" + r"hosted\.org",
            r"//pypi\." + "org/simple",
            r"registry\.npm" + r"js\.org",
            "PIP_INDEX" + "_URL",
            r"\bfile:/" + "//",
        ]
    )
)
CONSTRAINT = re.compile(r"#.*|[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.!+_-]+")


def test_no_path_of_a_machine_and_no_index_is_committed() -> None:
    """No file names a home, a work directory or a registry."""
    found = []
    for path in repository.files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [
            f"{repository.name(path)}:{number}: {match[0]}"
            for number, line in enumerate(text.splitlines(), 1)
            for match in (MACHINE_PATH.search(line), INDEX.search(line))
            if match
        ]
    assert found == []


def test_constraints_are_names_and_versions_only() -> None:
    """Nothing in constraints.txt says where a package comes from, and each is pinned exactly."""
    lines = (repository.ROOT / "constraints.txt").read_text().splitlines()
    assert [line for line in lines if not CONSTRAINT.fullmatch(line)] == []
    assert len(lines) > 40
