"""Last good values, the same on Postgres and on the model: the newer one stays, and what is over is swept away."""

from __future__ import annotations

from typing import Any

from saga.store.last_good import FIND, KEEP, SWEEP
from tests.support.stores import FAR_AHEAD, LONG_AGO, Seen, Store, execute

CENTURY_S = 3600.0 * 24 * 365 * 100
VALUE: dict[str, Any] = {"hash": ["a"], "step": ["locate"], "value": ["1"], "age": [0.0], "more": [60.0]}


async def keep(store: Store, **values: Any) -> Seen:
    return await execute(await store.connect(), KEEP, **{**VALUE, **values})


async def values_of(store: Store) -> dict[str, str]:
    return {row["hash"]: str(row["value"]) for row in await store.rows("last_good")}


async def test_each_hash_keeps_its_newest_value(store: Store) -> None:
    """However late an old one arrives; and a batch may keep many."""
    two = {"hash": ["b", "a"], "step": ["locate"] * 2, "age": [0.0, CENTURY_S], "more": [60.0] * 2}
    assert await keep(store, **two, value=["1", "2"]) == Seen("INSERT 0 2")
    assert await keep(store, value=["3"], age=[60.0]) == Seen("INSERT 0 1")
    assert await keep(store, value=["4"], age=[CENTURY_S]) == Seen("INSERT 0 0")
    assert await values_of(store) == {"a": "3", "b": "1"}


async def test_what_cannot_be_kept_is_refused(store: Store) -> None:
    """A value that is no JSON, a row without its step."""
    assert (await keep(store, value=["{"])).sqlstate == "22P02"
    assert (await keep(store, step=[None])).sqlstate == "23502"
    assert await values_of(store) == {}


async def test_values_are_found_by_their_hashes(store: Store) -> None:
    """With the text that was kept; what is missing is not told."""
    await keep(store, value=['{"b":1,"a":2}'])
    seen = await execute(await store.connect(), FIND, hashes=["a", "x"])
    assert seen.status == "SELECT 1"
    assert seen.lines is not None
    ((kept_under, value, _),) = seen.lines
    assert (kept_under, value) == ("a", '{"b":1,"a":2}')


async def test_what_nobody_may_take_any_more_is_swept_away(store: Store) -> None:
    """The longest over first, as many as were asked for."""
    row = {"step": "locate", "value": "1", "at": LONG_AGO}
    for kept_under, until in (("old", LONG_AGO), ("older", LONG_AGO.replace(year=2000)), ("new", FAR_AHEAD)):
        await store.put("last_good", {**row, "hash": kept_under, "until": until})
    for limit, swept in ((0, 0), (1, 1), (5, 1), (5, 0)):
        assert await execute(await store.connect(), SWEEP, limit=limit) == Seen(f"DELETE {swept}")
    assert set(await values_of(store)) == {"new"}
