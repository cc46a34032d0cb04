"""Schedules that a seed draws on the model, replayed on a real Postgres: both show the same, step by step."""

import pytest

from tests.support.schedules import record, run
from tests.support.stores import Real

SEEDS_A_TEST, LENGTH = 10, 60


@pytest.mark.parametrize("group", range(4))
async def test_a_recorded_schedule_is_the_same_on_both(database_url: str, group: int) -> None:
    """Every answer, every error's state, who waits and until when, and the rows of all tables at the end."""
    real = Real(database_url)
    try:
        for seed in range(group * SEEDS_A_TEST, (group + 1) * SEEDS_A_TEST):
            moves, expected, left = await record(seed, LENGTH)
            shown, found = await run(real, moves)
            for n, (move, mine, theirs) in enumerate(zip(moves, expected, shown, strict=True)):
                assert mine == theirs, f"seed {seed}, move {n}: {move}"
            assert left == found, f"seed {seed}"
            await real.empty()
    finally:
        await real.close()
