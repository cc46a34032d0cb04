"""The SQL rules of the store: a lint over every statement, as far as its text can tell.

A statement is text, a name and a note (`saga.store.sql.Statement`). A rule that one breaks on purpose is listed with
a reason; that SQL is written nowhere else is tests/style/test_sql_elsewhere.py.
"""

import importlib
import pkgutil
import re
from collections import Counter
from collections.abc import Callable, Iterator
from enum import StrEnum
from types import SimpleNamespace
from typing import Any

import pytest

import saga.barrier
import saga.store
from saga.core.evidence import EvidenceKind
from saga.core.model import Direction, EffectStatus, ParkCause, SagaStatus
from saga.store.schema import metadata
from saga.store.sql import Statement, statements

for _package in (saga.store, saga.barrier):
    for _module in pkgutil.walk_packages(_package.__path__, f"{_package.__name__}."):
        importlib.import_module(_module.name)

ALL = [pytest.param(statement, id=statement.name) for statement in statements()]
every = pytest.mark.parametrize("statement", ALL)

TABLES = {table.name for table in metadata().tables.values()} | {"saga_barrier"}
# Writes of a saga or an effect join it on owner, lane and epoch. These do not, because:
CLAIMLESS = {
    "start": "nobody owns what does not exist yet",
    "start_with": "nobody owns what does not exist yet",
    "start_many": "nobody owns what does not exist yet",
    "claim": "makes the claim; takes only what is ready",
    "orphans": "takes only from owners without a row",
    "due": "takes only what sleeps, and so has no owner",
    "service_release": "takes only what sleeps until its service lets it in",
    "wake": "anybody may wake: it counts the inbox and never touches owner or direction",
    "signal_wake": "the same of a signal; it leaves alone what nothing can reach any more",
    "alarm": "rings whoever owns it, and moves nothing",
    "reopen": "takes only what has ended, and so has no owner",
    "purge_sagas": "takes only what has ended, and so has no owner",
    "purge_effects": "of sagas that purge_sagas has taken, in the same transaction",
    "forget_sagas": "takes only what is purged, and so has ended",
}
WORDS: dict[str, frozenset[str]] = {
    "status": frozenset({*SagaStatus, *EffectStatus}),
    "direction": frozenset(Direction),
    "park_cause": frozenset(ParkCause),
    "kind": frozenset(EvidenceKind),
}

MUTATION = re.compile(r"(?<!FOR )(?<!KEY )\b(INSERT INTO|UPDATE|DELETE FROM) \{s\}\.(\w+)")
LOCKING = re.compile(r"\bFOR (?:NO KEY )?(?:UPDATE|SHARE)|\bFOR KEY SHARE")
RELATION = re.compile(
    r"(?<!DISTINCT )\b(?:FROM|JOIN|INTO|(?<!FOR )(?<!KEY )(?<!DO )UPDATE)\s+(?:LATERAL\s+)?([^\s,;)]+)"
)
CTE = re.compile(r"(\w+) AS (?:NOT )?(?:MATERIALIZED )?\(")


def mutations(statement: Statement) -> list[tuple[str, str]]:
    """What it writes, as (verb, table)."""
    return MUTATION.findall(statement.text)


@every
def test_rule_1_tables_are_qualified_and_nothing_hangs_on_the_session(statement: Statement) -> None:
    """Every relation is `{s}.table` of the schema, a CTE of the statement, or a function; no session state."""
    local = set(CTE.findall(statement.text)) | set(re.findall(r"RECURSIVE (\w+)", statement.text))
    for relation in RELATION.findall(statement.text):
        if relation.startswith("{s}."):
            assert relation.removeprefix("{s}.") in TABLES, relation
        else:
            assert relation in local or "(" in relation or relation == "SAVEPOINT", (
                f"{relation} is not qualified"
            )
    assert "search_path" not in statement.text
    assert not re.search(
        r"\bSET (SESSION|LOCAL|ROLE)\b|\bTEMP(ORARY)?\b|\bDISCARD\b|\bPREPARE\b", statement.text
    )
    for call in re.findall(r"set_config\(([^()]*)\)", statement.text):
        assert call.endswith("true"), "a setting holds for its transaction only"


@every
def test_rule_2_no_clock_but_the_transactions(statement: Statement) -> None:
    """`now()` or parameters; a clock that moves inside a statement is refused by Citus, and differs by row."""
    assert not re.search(
        r"clock_timestamp|statement_timestamp|timeofday|current_timestamp|localtimestamp",
        statement.text,
        re.IGNORECASE,
    )
    assert not re.search(r"random|gen_random_uuid|uuidv7", statement.text, re.IGNORECASE), (
        "chance and ids are the client's"
    )


@every
def test_rule_3_no_advisory_locks_and_no_sequences(statement: Statement) -> None:
    """Correctness hangs on rows; ids are made by the client."""
    assert not re.search(
        r"advisory|nextval|currval|setval|serial\b|LOCK TABLE", statement.text, re.IGNORECASE
    )


@every
def test_rule_4_one_mutation_a_table(statement: Statement) -> None:
    """Two writes of one table in one statement see the same snapshot: one of them is lost."""
    tables = Counter(table for _, table in mutations(statement))
    assert max(tables.values(), default=0) <= 1


@every
def test_rule_6_no_code_in_the_database(statement: Statement) -> None:
    """No triggers, no functions of ours."""
    assert not re.search(r"TRIGGER|FUNCTION|plpgsql|\$\$|\bCALL\b", statement.text, re.IGNORECASE)


@every
def test_rule_7_it_says_what_it_locks_and_what_zero_rows_means(statement: Statement) -> None:
    """In sentences; one that writes or locks does not say that it locks nothing."""
    assert statement.note.endswith("."), "a sentence"
    assert re.match(r"(Locks?|Inserts?|Updates?|Deletes?|Keeps|Lets go)\b", statement.note), (
        "first: what it locks"
    )
    if "{s}." in statement.text:
        assert re.search(
            r"\b(zero|one) rows?\b|\bNULL\b|does not come back|[Mm]issing row", statement.note, re.IGNORECASE
        )
    if re.search(r"\b(UPDATE|DELETE FROM) \{s\}", statement.text) or LOCKING.search(statement.text):
        assert not statement.note.startswith("Locks nothing"), "it does"


@every
def test_rule_7_many_rows_are_locked_in_order_or_without_waiting(statement: Statement) -> None:
    """Unsorted locks deadlock; a statement that passes by what is locked waits for nobody."""
    if LOCKING.search(statement.text) and re.search(r"= ANY\(|\bLIMIT\b|ORDER BY", statement.text):
        assert "ORDER BY" in statement.text or "SKIP LOCKED" in statement.text


@every
def test_a_limit_that_locks_is_materialized(statement: Statement) -> None:
    """As a plain subquery the planner may run it again, and LIMIT 1 claimed 200 rows."""
    if mutations(statement) and "LIMIT" in statement.text:
        assert "AS MATERIALIZED (" in statement.text
        assert "SKIP LOCKED" in statement.text
        assert not re.search(r"\bIN \(SELECT[^()]*LIMIT", statement.text)


@every
def test_what_writes_a_saga_or_an_effect_holds_its_claim(statement: Statement) -> None:
    """Owner, lane and epoch: the fence does not say which sagas are mine. Or it is an operator's act, which is
    compare-and-set on the revision under the saga's lock (S39). Or it is listed with a reason.
    """
    if {"saga", "effect"} & {table for _, table in mutations(statement)}:
        joined = all(
            part in statement.text for part in ("s.owner = %(me)s", "s.lane = %(lane)s", "s.epoch = u.epoch")
        )
        act = "id = %(id)s AND revision = %(revision)s" in statement.text
        assert (joined or act) != (statement.name in CLAIMLESS), (
            "join the claim, or say in CLAIMLESS why not; never both"
        )


@every
def test_rule_9_status_words_are_those_of_the_enums(statement: Statement) -> None:
    """Status text exists once, as a StrEnum whose values are the CHECK's list."""
    for column, known in WORDS.items():
        for word in words_beside(column, statement.text):
            assert word in known or "saga_barrier" in statement.text, f"{column} '{word}'"


def words_beside(column: str, text: str) -> Iterator[str]:
    """The literals that a text compares or sets a column to."""
    for match in re.finditer(rf"\b{column} (?:=|<>) '([^']*)'", text):
        yield match[1]
    for match in re.finditer(rf"\b{column} (?:NOT )?IN \(([^()]*)\)", text):
        yield from re.findall(r"'([^']*)'", match[1])
    for match in re.finditer(rf"\b{column} = CASE (.*?) END\b", text):
        yield from re.findall(r"(?:THEN|ELSE) '([^']*)'", match[1])


@pytest.mark.parametrize("words", [SagaStatus, EffectStatus, Direction, ParkCause, EvidenceKind])
def test_rule_9_the_checks_are_the_enums(words: type[StrEnum]) -> None:
    """Each enum's values are the list of a CHECK, all of them and in order."""
    listed = ", ".join(f"'{word}'" for word in words)
    checks = [str(getattr(c, "sqltext", "")) for t in metadata().tables.values() for c in t.constraints]
    assert any(f"IN ({listed})" in check for check in checks)


@every
def test_parameters_are_named_and_the_text_binds_to_any_schema(statement: Statement) -> None:
    """No positional parameter, no other placeholder, whatever the schema is called."""
    assert not re.search(r"%s|%b|%t", re.sub(r"%\(\w+\)s", "", statement.text))
    bound = statement.on('we"ird')
    assert "{" not in re.sub(r"'[^']*'", "", bound)
    assert bound.count('"we""ird".') == statement.text.count("{s}.")


def test_every_name_is_used_once() -> None:
    """A name finds its statement in logs and in pg_stat_statements, and the cursor of a batch."""
    assert [name for name, times in Counter(s.name for s in statements()).items() if times > 1] == []


def test_no_foreign_key_leads_to_a_worker() -> None:
    """Rule 8: an owner's row may be gone; that is what tells that it died."""
    assert [fk for table in metadata().tables.values() for fk in table.foreign_keys] == []


def test_the_list_of_exceptions_holds_only_what_is_needed() -> None:
    """A statement that is gone leaves CLAIMLESS."""
    assert set(CLAIMLESS) <= {s.name for s in statements()}


BREACHES = [
    (test_rule_1_tables_are_qualified_and_nothing_hangs_on_the_session, "SELECT 1 FROM saga WHERE true"),
    (test_rule_1_tables_are_qualified_and_nothing_hangs_on_the_session, "UPDATE saga.saga SET inbox = 1"),
    (test_rule_1_tables_are_qualified_and_nothing_hangs_on_the_session, "SELECT 1 FROM {s}.sagas"),
    (test_rule_1_tables_are_qualified_and_nothing_hangs_on_the_session, "SET SESSION lock_timeout = 1"),
    (test_rule_1_tables_are_qualified_and_nothing_hangs_on_the_session, "SELECT set_config('a', 'b', false)"),
    (test_rule_2_no_clock_but_the_transactions, "UPDATE {s}.saga SET wake_at = clock_timestamp()"),
    (test_rule_2_no_clock_but_the_transactions, "INSERT INTO {s}.evidence (id) VALUES (gen_random_uuid())"),
    (test_rule_3_no_advisory_locks_and_no_sequences, "SELECT pg_advisory_xact_lock(1)"),
    (test_rule_4_one_mutation_a_table, "WITH a AS (UPDATE {s}.saga SET b = 1) UPDATE {s}.saga SET c = 1"),
    (test_rule_6_no_code_in_the_database, "CREATE TRIGGER t"),
    (test_rule_7_it_says_what_it_locks_and_what_zero_rows_means, "DELETE FROM {s}.worker"),
    (
        test_rule_7_many_rows_are_locked_in_order_or_without_waiting,
        "SELECT 1 FROM {s}.saga WHERE id = ANY(%(i)s) FOR UPDATE",
    ),
    (
        test_a_limit_that_locks_is_materialized,
        "UPDATE {s}.saga SET a = 1 WHERE id IN (SELECT id FROM {s}.saga LIMIT 1)",
    ),
    (
        test_what_writes_a_saga_or_an_effect_holds_its_claim,
        "UPDATE {s}.effect SET a = 1 WHERE owner = %(me)s",
    ),
    (
        test_rule_9_status_words_are_those_of_the_enums,
        "SELECT 1 FROM {s}.saga WHERE status IN ('ready', 'done')",
    ),
    (
        test_rule_9_status_words_are_those_of_the_enums,
        "UPDATE {s}.saga SET status = CASE WHEN a THEN 'waiting' ELSE b END",
    ),
    (test_parameters_are_named_and_the_text_binds_to_any_schema, "SELECT %s"),
]


@pytest.mark.parametrize(("rule", "text"), BREACHES)
def test_each_rule_sees_its_breach(rule: Callable[[Any], None], text: str) -> None:
    """A lint that lets everything pass would look the same on clean code."""

    def on(schema: str) -> str:
        return text.replace("{s}", '"' + schema.replace('"', '""') + '"')

    with pytest.raises(AssertionError):
        rule(SimpleNamespace(name="a_breach", note="Locks nothing. Zero rows: never.", text=text, on=on))
