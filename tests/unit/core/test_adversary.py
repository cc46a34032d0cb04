"""The most valuable test: the rules against every path of a hostile world (see tests/support/adversary.py).

A checker that finds nothing must show that it could: each naive rule that the real ones replace is put in their
place once, and the checker must find the orphan or the double that the naive rule leaves.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from saga.core import decide as deciding
from saga.core import facts as reading
from saga.core import verdict as concluding
from saga.core.decide import Action
from saga.core.evidence import NotFound, Phase, Probed, SaidRefused
from saga.core.facts import Facts, KeyLife, Means, Stage
from saga.core.model import Direction, NotExecuted, Refused
from saga.core.promises import InDoubt, Kind, Policy, Promises, Remembers
from saga.core.retry import Retry
from saga.core.verdict import Basis
from tests.support.adversary import Broken, Setting, walk


def seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


def setting(
    remembers: Remembers, *, probe: bool, kind: Kind = Kind.EFFECT, direction: Direction = Direction.FORWARD,
    life: float = 40, sends: int = 2, settle: float = 6, **more: Any,
) -> Setting:  # fmt: skip
    """Short times, so that the paths are short; their order is what matters."""
    lifetime = None if remembers is Remembers.NOTHING else seconds(life)
    promises = Promises(remembers, lifetime, lateness=seconds(1), staleness=seconds(0.5))
    policy = Policy(
        timeout=seconds(1), retry=Retry(attempts=sends), settle_within=seconds(settle), pending_within=seconds(8),
        probes=3, can_probe=probe, kind=kind, in_doubt=more.pop("in_doubt", InDoubt.PARK),
    )  # fmt: skip
    want_may_end = direction is Direction.FORWARD
    return Setting(promises, policy, direction, sends=sends, want_may_end=want_may_end, **more)


@pytest.mark.parametrize("probe", [True, False], ids=["probe", "no probe"])
@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("remembers", Remembers)
def test_no_path_gives_two_effects_or_an_orphan(
    remembers: Remembers, direction: Direction, probe: bool
) -> None:
    """Never two effects, and never settled as not happened while it landed or still can (S4, S12-S17, S22, S24, S33)."""
    seen = walk(setting(remembers, probe=probe, direction=direction))
    assert seen.ends["Settle"] > 0
    assert seen.ends["Park"] > 0 or remembers is Remembers.ALL


def test_three_sends_do_no_more_harm_than_two() -> None:
    """A third attempt under doubt and refusals, where the service remembers only successes (S17)."""
    assert walk(setting(Remembers.SUCCESSES, probe=False, sends=3, settle=9)).worlds > 3_000


@pytest.mark.parametrize("remembers", Remembers)
def test_s15_a_fence_takes_an_unwanted_effect_out_of_doubt(remembers: Remembers) -> None:
    """A key that the service has fenced never lands, whatever is still on its way."""
    assert walk(setting(remembers, probe=True, can_fence=True, sends=1)).ends["Settle"] > 0


def test_s10_no_send_outlives_the_key() -> None:
    """A service that forgets the key executes anew: every send would have to arrive before that."""
    assert walk(setting(Remembers.SUCCESSES, probe=False, life=8, settle=30, sends=3)).ends["Park"] > 0


@pytest.mark.parametrize("jitter", [0.0, 0.3])
def test_early_probes_change_nothing(jitter: float) -> None:
    """Whatever the jitter, a promise holds; with little of it the budget is spent before quiescence."""
    assert walk(setting(Remembers.NOTHING, probe=True, jitter=jitter, sends=1)).worlds > 100


def test_s24_accepting_a_doubt_claims_nothing() -> None:
    """A step that accepts its doubt goes on, and is never settled as not executed."""
    assert walk(setting(Remembers.NOTHING, probe=False, in_doubt=InDoubt.ACCEPT)).ends["Accept"] > 0


@pytest.mark.parametrize("remembers", [Remembers.NOTHING, Remembers.ALL])
def test_what_is_repeatable_is_still_never_settled_wrongly(remembers: Remembers) -> None:
    """A duplicate is acceptable there; an orphan is not."""
    assert walk(setting(remembers, probe=False, kind=Kind.REPEATABLE)).ends["Settle"] > 0


# The naive rules, and what they leave behind.

Mutant = Callable[[pytest.MonkeyPatch], None]


def refusal_settles_all(patch: pytest.MonkeyPatch) -> None:
    """Without S17: the newest attempt's refusal is taken for the effect's."""
    real = concluding._proof

    def naive(evidence: Any, promises: Any, policy: Any) -> Any:
        newest = list(concluding.outcomes(evidence).values())[-1:]
        found = real(evidence, promises, policy)
        return (newest[0], Basis.PROOF) if newest and isinstance(newest[0], Refused) else found

    patch.setattr(concluding, "_proof", naive)


def not_executed_settles_all(patch: pytest.MonkeyPatch) -> None:
    """Without S4: "not executed" on attempt n is taken for n - 1."""
    real = concluding._proof

    def naive(evidence: Any, promises: Any, policy: Any) -> Any:
        newest = list(concluding.outcomes(evidence).values())[-1:]
        found = real(evidence, promises, policy)
        return (newest[0], Basis.PROOF) if newest and isinstance(newest[0], NotExecuted) else found

    patch.setattr(concluding, "_proof", naive)


def not_found_proves(patch: pytest.MonkeyPatch) -> None:
    """Without S13: one early "not found" is taken for proof."""

    def naive(evidence: Any, newest: int, promises: Promises) -> bool:
        return any(isinstance(e, Probed) and isinstance(e.answer, NotFound | SaidRefused) for e in evidence)

    patch.setattr(concluding, "_quiet", naive)


def one_quiet_read_proves(patch: pytest.MonkeyPatch) -> None:
    """Without the second read of S16: a status answer that lags is believed."""

    def naive(evidence: Any, newest: int, promises: Promises) -> bool:
        return any(
            isinstance(e, Probed) and e.phase is Phase.QUIET and isinstance(e.answer, NotFound)
            for e in evidence
        )

    patch.setattr(concluding, "_quiet", naive)


def resends_without_dedup(patch: pytest.MonkeyPatch) -> None:
    """Without S14: what is in doubt is sent again to a service that remembers nothing."""
    real = deciding.rule

    def naive(facts: Facts) -> Action:
        doubt = facts.stage is Stage.DOUBT and facts.means in {Means.PROBE, Means.NOTHING}
        return Action.SEND if doubt else real(facts)

    patch.setattr(deciding, "rule", naive)


def keys_live_for_ever(patch: pytest.MonkeyPatch) -> None:
    """Without S10."""

    def naive(effect: Any, now: datetime) -> KeyLife:
        return KeyLife.ALIVE

    patch.setattr(reading, "_key_life", naive)


def quiet_at_the_deadline(patch: pytest.MonkeyPatch) -> None:
    """Without lateness: what was read after the deadline is taken for final."""
    real = deciding.decide

    def naive(effect: Any, *rest: Any) -> Any:
        if effect.quiet_from is not None:
            object.__setattr__(effect, "quiet_from", effect.quiet_from - effect.promises.lateness)
        return real(effect, *rest)

    patch.setattr("tests.support.adversary.decide", naive)


@pytest.mark.parametrize(
    ("mutant", "where"),
    [
        (refusal_settles_all, setting(Remembers.SUCCESSES, probe=False)),
        (not_executed_settles_all, setting(Remembers.SUCCESSES, probe=False)),
        (not_found_proves, setting(Remembers.NOTHING, probe=True)),
        (one_quiet_read_proves, setting(Remembers.NOTHING, probe=True)),
        (resends_without_dedup, setting(Remembers.NOTHING, probe=False)),
        (keys_live_for_ever, setting(Remembers.SUCCESSES, probe=False, life=8, settle=30, sends=6)),
        (quiet_at_the_deadline, setting(Remembers.NOTHING, probe=True)),
    ],
    ids=lambda value: getattr(value, "__name__", "") or str(value.promises.remembers),
)
def test_the_naive_rule_is_found_out(monkeypatch: pytest.MonkeyPatch, mutant: Mutant, where: Setting) -> None:
    """The checker finds what each naive rule breaks, so that its silence about the real ones means something."""
    mutant(monkeypatch)
    with pytest.raises(Broken):
        walk(where)
