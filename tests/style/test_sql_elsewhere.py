"""SQL is written as statements (`saga.store.sql.Statement`), which the lint of test_sql_rules.py reads, and nowhere else."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.support import repository

# Strings that are SQL and no Statement, by file:
ELSEWHERE = {
    "saga/store/batch.py": "BEGIN and COMMIT frame the statements of a batch",
    "saga/store/connections.py": "BEGIN, COMMIT and ROLLBACK frame a transaction whose COMMIT is verified",
    "saga/store/leases.py": "SET LOCAL frames the reaper's transaction",
    "saga/store/wakeups.py": "LISTEN takes an identifier and no parameter",
    "saga/store/migrate.py": "the schema itself, before any statement can be",
    "saga/store/revisions.py": "asks which schema there is, before any statement can be",
    "saga/barrier/table.py": "makes the barrier's table, in a migration of the service that owns it",
    "saga/dev/cluster.py": "makes the database of a fresh cluster; knows no table of the store",
    "saga/demo/killer.py": "looks on from outside, as a DBA would, and must not share the store's code",
    "saga/demo/stage.py": "looks on from outside, as a DBA would, and must not share the store's code",
}
SQL = re.compile(
    r"\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH|CREATE|ALTER|DROP|TRUNCATE|LOCK|GRANT|SET LOCAL|SET SESSION"
    r"|LISTEN|NOTIFY|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|COPY|VACUUM|CALL|DO)\b(?!\w)(?=\s*$|\s+[\w\"'({%$*])"
)


def test_sql_is_written_as_statements_and_nowhere_else() -> None:
    """What this lint does not see, it cannot judge."""
    found = sql_outside_of_statements()
    assert {name: lines for name, lines in found.items() if name not in ELSEWHERE} == {}


def sql_outside_of_statements() -> dict[str, list[str]]:
    """Strings that are SQL, by file, but for those that a Statement is made of."""
    found = {repository.name(path): list(loose_sql(path)) for path in repository.python("saga", "workers")}
    return {name: lines for name, lines in found.items() if lines}


def loose_sql(path: Path) -> Iterator[str]:
    """The SQL of a file that is neither in a Statement, nor a private piece of one, nor a docstring."""
    module = repository.tree(path)
    pieces = {id(node) for part in parts_of_statements(module) for node in ast.walk(part)}
    spoken = {id(node.value) for node in ast.walk(module) if isinstance(node, ast.Expr)}
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and id(node) not in pieces | spoken:
            text = node.value.decode() if isinstance(node.value, bytes) else node.value
            if isinstance(text, str) and SQL.match(text):
                yield f"{node.lineno}: {text[:60]}"


def parts_of_statements(module: ast.Module) -> Iterator[ast.AST]:
    """Calls of Statement; and, in a module that has some, the constants with a leading underscore."""
    calls = [
        node for node in ast.walk(module)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Statement"
    ]  # fmt: skip
    yield from calls
    for node in module.body if calls else []:
        if isinstance(node, ast.Assign) and all(
            isinstance(t, ast.Name) and t.id[0] == "_" for t in node.targets
        ):
            yield node.value


def test_the_list_of_exceptions_holds_only_what_is_needed() -> None:
    """A file that no longer holds SQL leaves ELSEWHERE."""
    assert set(ELSEWHERE) <= set(sql_outside_of_statements())


def test_every_form_of_sql_is_seen() -> None:
    """The rule sees texts, bytes and f-strings, and lets sentences pass."""
    code = (
        '"SELECT 1"\nx = "SELECT 1"\ny = b"COMMIT"\nz = f"UPDATE {t} SET a = 1"\n'
        'w = "Update the row"\nv = "COMMIT answered ROLLBACK"\n_p = "SELECT piece"\nS = Statement("n", "x", "SELECT 2")\n'
    )
    module = ast.parse(code)
    pieces = {id(n) for part in parts_of_statements(module) for n in ast.walk(part)}
    seen = [
        n.lineno for n in ast.walk(module)
        if isinstance(n, ast.Constant) and id(n) not in pieces
        and SQL.match(n.value.decode() if isinstance(n.value, bytes) else str(n.value))
    ]  # fmt: skip
    assert sorted(set(seen)) == [1, 2, 3, 4, 6]
