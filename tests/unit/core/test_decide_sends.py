"""When an effect is sent, first and again, and when it never is: the rules of settling.md, by their numbers."""

from datetime import timedelta
from typing import Any

import pytest

from saga.core.decide import AwaitReply, Park, Probe, Send
from saga.core.evidence import Lost, StatedNever
from saga.core.facts import Want
from saga.core.model import Hint, NotExecuted, ParkCause, Refused, Succeeded, Unknown
from saga.core.promises import Kind, Promises, Remembers
from tests.support.observed import (
    BUSY,
    DAY,
    DONE,
    FAITHFUL,
    FORGETFUL,
    LUCKY,
    NO,
    UNHEARD,
    asked,
    at,
    at_once,
    effect,
    intended,
    policy,
    replied,
    settled_as,
    until,
)

PROBED = policy(can_probe=True)
BLIND = policy()
DOUBT = (intended(), replied(UNHEARD))


class TestSending:
    def test_s5_a_fresh_effect_is_sent(self) -> None:
        """Nothing was intended yet: attempt 1."""
        assert at_once(effect(FORGETFUL, BLIND), 0) == Send(1)

    def test_a_fresh_effect_that_is_not_wanted_is_never_sent(self) -> None:
        """It is settled as not executed, without a byte."""
        assert settled_as(at_once(effect(FORGETFUL, BLIND), 0, want=Want.UNWANTED)) is NotExecuted

    @pytest.mark.parametrize("want", Want)
    def test_s31_a_call_in_flight_is_never_aborted(self, want: Want) -> None:
        """Whatever is wanted meanwhile: its reply or its deadline decides."""
        facts = effect(FORGETFUL, BLIND, intended(), in_flight=1)
        assert isinstance(at_once(facts, 5, want=want), AwaitReply)

    @pytest.mark.parametrize(("outcome", "as_"), [(DONE, Succeeded), (NO, Refused)])
    @pytest.mark.parametrize("want", Want)
    def test_s4_what_is_proven_is_settled(self, outcome: Any, as_: type, want: Want) -> None:
        """A landing and a refusal are ends, wanted or not."""
        assert (
            settled_as(at_once(effect(FORGETFUL, BLIND, intended(), replied(outcome)), 11, want=want)) is as_
        )

    def test_an_attempt_that_is_not_executed_is_followed_by_the_next(self) -> None:
        """After a delay with full jitter: none of it with jitter 0, all of it with jitter 1."""
        facts = effect(LUCKY, BLIND, intended(), replied(BUSY), ended=at(3))
        assert at_once(facts, 3, jitter=0.0) == Send(2)
        assert until(at_once(facts, 3, jitter=1.0)) == 4
        assert at_once(facts, 4, jitter=1.0) == Send(2)

    def test_the_delay_doubles_with_each_attempt(self) -> None:
        """Up to its cap."""
        seen = [e for n in (1, 2, 3) for e in (intended(n, n), replied(BUSY, n))]
        assert until(at_once(effect(LUCKY, BLIND, *seen, ended=at(3)), 3, jitter=1.0)) == 7

    @pytest.mark.parametrize(
        ("told", "waits"), [(30.0, 30), (0.0, 1), (-5.0, 1), (1e300, 86400), (float("inf"), 86400)]
    )
    def test_s18_it_waits_as_told(self, told: float, waits: float) -> None:
        """`retry_after` of the service is a lower bound; a number that cannot be meant is bounded."""
        for outcome in (NotExecuted("busy", "429", told), Unknown("in progress", Hint.IN_PROGRESS, told)):
            facts = effect(LUCKY, BLIND, intended(), replied(outcome), ended=at(0), doubt=0)
            assert until(at_once(facts, 0.5, jitter=1.0)) == waits

    def test_not_wanted_any_more_it_is_settled_instead(self) -> None:
        """Every attempt is proven not executed: nothing is left to do."""
        facts = effect(LUCKY, BLIND, intended(), replied(BUSY))
        assert settled_as(at_once(facts, 11, want=Want.UNWANTED)) is NotExecuted

    def test_the_attempts_are_counted(self) -> None:
        """After the last one the effect is settled as not executed."""
        facts = effect(LUCKY, policy(attempts=1), intended(), replied(BUSY))
        assert settled_as(at_once(facts, 11)) is NotExecuted

    def test_it_gives_up_in_time(self) -> None:
        """`give_up` after the first attempt no other follows."""
        facts = effect(LUCKY, policy(give_up=timedelta(seconds=30)), intended(), replied(BUSY))
        assert at_once(facts, 30) == Send(2)
        assert settled_as(at_once(facts, 31)) is NotExecuted


class TestTheLifeOfTheKey:
    """S10: no send unless now + timeout + lateness < first intent + key's life - margin."""

    day = DAY.total_seconds()
    last = day - day * 0.05 - 10 - 60  # 5 % of a day is more than an hour

    @pytest.mark.parametrize("promises", [LUCKY, FAITHFUL])
    def test_s10_inside_it_the_same_request_is_sent_again(self, promises: Promises) -> None:
        """Up to the last second, and not in it."""
        how = policy(settle_within=10 * DAY)
        facts = effect(promises, how, *DOUBT, doubt=10)
        assert at_once(facts, self.last - 1) == Send(2)
        assert isinstance(at_once(facts, self.last), Park)

    def test_s10_with_a_probe_it_is_asked_and_not_sent(self) -> None:
        """After the last second only probes are left."""
        how = policy(can_probe=True, settle_within=10 * DAY)
        facts = effect(LUCKY, how, *DOUBT, asked(20), doubt=10)
        assert at_once(facts, self.last - 1) == Send(2)
        assert isinstance(at_once(facts, self.last), Probe)

    def test_s10_what_is_clear_ends_as_not_executed(self) -> None:
        """Going forward, an effect whose every attempt is proven not executed is given up, not resent."""
        facts = effect(LUCKY, policy(), intended(), replied(BUSY))
        assert at_once(facts, self.last - 1) == Send(2)
        assert settled_as(at_once(facts, self.last)) is NotExecuted

    def test_s10_the_margin_of_a_short_life_is_half_of_it(self) -> None:
        """A key of ten minutes: sends end before the fifth, minus what a request may take."""
        short = Promises(Remembers.ALL, timedelta(minutes=10), lateness=timedelta(seconds=60))
        facts = effect(short, BLIND, *DOUBT, doubt=10)
        assert at_once(facts, 300 - 10 - 60 - 1) == Send(2)
        assert isinstance(at_once(facts, 300 - 10 - 60), Park)

    def test_s10_a_service_that_keeps_no_key_has_no_such_limit(self) -> None:
        """There a resend needs proof that nothing happened, at any age."""
        facts = effect(FORGETFUL, BLIND, intended(), replied(BUSY))
        assert at_once(facts, self.day * 10) == Send(2)


class TestCompensation:
    def test_s29_it_has_no_attempt_budget(self) -> None:
        """A hundred attempts that were not executed are followed by the next."""
        seen = [e for n in range(1, 100) for e in (intended(n, n), replied(BUSY, n))]
        assert at_once(effect(LUCKY, policy(attempts=3), *seen, backward=True), 500) == Send(100)

    def test_s29_it_is_never_given_up_as_not_executed(self) -> None:
        """After its time it parks, as a compensation that is stuck."""
        facts = effect(LUCKY, BLIND, intended(), replied(BUSY), backward=True)
        command = at_once(facts, 3601)
        assert isinstance(command, Park)
        assert command.cause is ParkCause.COMPENSATION_STUCK

    def test_s29_by_s10_it_parks_when_its_key_is_too_old(self) -> None:
        """Never a send that could be executed a second time."""
        how = policy(settle_within=10 * DAY)
        facts = effect(LUCKY, how, intended(), replied(BUSY), backward=True)
        assert isinstance(at_once(facts, DAY.total_seconds()), Park)

    def test_s29_a_refusal_is_an_end(self) -> None:
        """What follows from it is the saga's business: it parks as refused."""
        assert (
            settled_as(at_once(effect(LUCKY, BLIND, intended(), replied(NO), backward=True), 11)) is Refused
        )

    def test_s37_after_never_was_stated_it_is_sent_again(self) -> None:
        """Forward, the statement ends the effect; a compensation must land."""
        never = StatedNever(1, "ada", "asked them")
        assert at_once(effect(FAITHFUL, BLIND, intended(), Lost(1), never, backward=True), 90) == Send(2)
        assert settled_as(at_once(effect(FAITHFUL, BLIND, intended(), Lost(1), never), 90)) is NotExecuted


class TestAnotherWorkersCall:
    """S33: no fence stops a side effect elsewhere, so the first send of the next worker waits, unless dedup helps."""

    never = StatedNever(1, "ada", "asked them")

    def test_s33_without_dedup_the_send_waits_for_the_old_deadline_and_lateness(self) -> None:
        """Even when an operator is sure, and whether or not the lost attempt has an end."""
        for ended in (None, at(0)):
            facts = effect(FORGETFUL, BLIND, intended(), Lost(1), self.never, backward=True, ended=ended)
            assert until(at_once(facts, 5)) == 70
            assert at_once(facts, 70) == Send(2)

    def test_s33_with_dedup_it_is_sent_at_once(self) -> None:
        """The old call and the new one are one effect."""
        assert at_once(effect(LUCKY, BLIND, intended(), Lost(1), doubt=1, ended=None), 1) == Send(2)

    def test_s33_what_is_repeatable_waits_for_nobody(self) -> None:
        """A duplicate is acceptable."""
        how = policy(kind=Kind.REPEATABLE)
        assert at_once(effect(FORGETFUL, how, intended(), Lost(1), doubt=1, ended=None), 1) == Send(2)

    def test_s33_s11_nothing_is_sent_while_a_body_has_not_returned(self) -> None:
        """Its call may still be running, in this very process."""
        facts = effect(FORGETFUL, BLIND, intended(), Lost(1), self.never, backward=True, quiet_from=None)
        assert until(at_once(facts, 5)) > 5
        assert until(at_once(facts, 3000)) > 3000
