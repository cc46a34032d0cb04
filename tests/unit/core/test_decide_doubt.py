"""What is done next with an effect in doubt, and when: the rules of settling.md, by their numbers."""

from datetime import timedelta

import pytest

from saga.core.decide import Accept, Park, Probe, Send
from saga.core.evidence import Evidence, Landed, Lost, NoAnswer, Phase, RetryAsked
from saga.core.facts import Want
from saga.core.model import Hint, NotExecuted, ParkCause, Refused, Succeeded, Unknown
from saga.core.promises import InDoubt, Kind, Promises, Remembers
from tests.support.observed import (
    DAY,
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
    pending,
    policy,
    quiet,
    replied,
    settled_as,
    until,
)

PROBED = policy(can_probe=True)
BLIND = policy()
DOUBT = (intended(), replied(UNHEARD))


class TestDoubt:
    def test_s12_a_probe_comes_before_any_retry(self) -> None:
        """Even where the service dedups."""
        for promises in (FORGETFUL, LUCKY, FAITHFUL):
            assert at_once(effect(promises, PROBED, *DOUBT, doubt=10), 10) == Probe(Phase.EARLY)

    def test_s14_not_found_and_dedup_the_same_request_is_sent_again(self) -> None:
        """The first arrival wins, a late one is harmless."""
        assert at_once(effect(LUCKY, PROBED, *DOUBT, asked(11), doubt=10), 11) == Send(2)

    def test_s14_a_probe_without_an_answer_is_no_leave_to_send(self) -> None:
        """S21: what fails is asked again."""
        facts = effect(LUCKY, PROBED, *DOUBT, asked(11, NoAnswer("down")), doubt=10)
        assert at_once(facts, 12) == Probe(Phase.EARLY)

    def test_s14_without_dedup_it_is_asked_until_quiet_and_never_sent(self) -> None:
        """Not found again and again, early: another probe, and at quiescence two quiet reads."""
        facts = effect(FORGETFUL, PROBED, *DOUBT, asked(11), doubt=10)
        assert at_once(facts, 20) == Probe(Phase.EARLY)
        assert at_once(facts, 69.9) == Probe(Phase.EARLY)
        assert at_once(facts, 70) == Probe(Phase.QUIET)

    def test_s16_quiet_begins_at_the_last_deadline_plus_lateness(self) -> None:
        """With two attempts, the later deadline counts."""
        facts = effect(
            FORGETFUL,
            PROBED,
            intended(1),
            replied(UNHEARD, 1),
            intended(2, 30),
            replied(UNHEARD, 2),
            doubt=10,
        )
        assert at_once(facts, 99) == Probe(Phase.EARLY)
        assert at_once(facts, 100) == Probe(Phase.QUIET)

    def test_s16_the_second_quiet_read_waits_for_the_staleness(self) -> None:
        """Sooner it could repeat what the first one missed."""
        facts = effect(FORGETFUL, PROBED, *DOUBT, quiet(70), doubt=10)
        assert until(at_once(facts, 71)) == 75
        assert at_once(facts, 75) == Probe(Phase.QUIET)
        settled = effect(FORGETFUL, PROBED, *DOUBT, quiet(70), quiet(75), doubt=10)
        assert at_once(settled, 75) == Send(2)
        assert settled_as(at_once(settled, 75, want=Want.UNWANTED)) is NotExecuted

    def test_s16_the_next_probe_is_not_later_than_the_quiet(self) -> None:
        """A backoff of a minute does not keep a saga that could be settled now."""
        facts = effect(FORGETFUL, PROBED, *DOUBT, *(asked(11 + n, NoAnswer("")) for n in range(8)), doubt=10)
        assert until(at_once(facts, 60, jitter=0.99)) == 70

    def test_s16_no_read_is_quiet_while_a_body_has_not_returned(self) -> None:
        """S11: an attempt whose thread still runs is not past its deadline."""
        facts = effect(FORGETFUL, PROBED, *DOUBT, doubt=10, quiet_from=None)
        assert at_once(facts, 1000) == Probe(Phase.EARLY)

    def test_s15_what_is_not_wanted_is_asked_about_and_never_sent(self) -> None:
        """Dedup would make a resend harmless, and would make an effect that nobody wants."""
        facts = effect(LUCKY, PROBED, *DOUBT, asked(11), doubt=10)
        assert at_once(facts, 12, want=Want.UNWANTED) == Probe(Phase.EARLY)

    @pytest.mark.parametrize("promises", [FORGETFUL, LUCKY, FAITHFUL])
    def test_s15_what_is_not_wanted_and_cannot_be_asked_about_parks(self, promises: Promises) -> None:
        """There is nothing that could settle it."""
        command = at_once(effect(promises, BLIND, *DOUBT, doubt=10), 10, want=Want.UNWANTED)
        assert isinstance(command, Park)
        assert command.cause is ParkCause.IN_DOUBT

    def test_s15_what_landed_although_unwanted_is_settled_as_landed(self) -> None:
        """It will be compensated."""
        facts = effect(LUCKY, PROBED, *DOUBT, asked(11, Landed("1")), doubt=10)
        assert settled_as(at_once(facts, 12, want=Want.UNWANTED)) is Succeeded

    def test_s17_after_a_refusal_the_doubt_about_an_earlier_attempt_is_never_resent(self) -> None:
        """A third request would be judged anew and say nothing about the first."""
        seen: tuple[Evidence, ...] = (*DOUBT, intended(2, 20), replied(NO, 2))
        assert isinstance(at_once(effect(LUCKY, BLIND, *seen, doubt=10), 31), Park)
        assert at_once(effect(LUCKY, PROBED, *seen, asked(31, attempt=2), doubt=10), 40) == Probe(Phase.EARLY)
        assert settled_as(at_once(effect(FAITHFUL, BLIND, *seen, doubt=10), 31)) is Refused

    def test_s19_a_mismatch_parks(self) -> None:
        """Something with that key already ran: never a refusal, never a resend."""
        mismatch = Unknown("same key, other request", Hint.MISMATCH)
        for how in (BLIND, PROBED):
            command = at_once(effect(FAITHFUL, how, intended(), replied(mismatch), doubt=0), 10)
            assert isinstance(command, Park)

    def test_s20_a_stored_error_is_asked_about_and_never_resent(self) -> None:
        """The service would replay it for ever."""
        promises = Promises(Remembers.ALL, DAY, replays_5xx=True)
        seen = (intended(), replied(Unknown("500", Hint.SERVER_ERROR)))
        assert isinstance(at_once(effect(promises, PROBED, *seen, asked(11), doubt=10), 20), Probe)
        assert isinstance(at_once(effect(promises, BLIND, *seen, doubt=10), 20), Park)

    def test_s21_pending_waits_as_told(self) -> None:
        """Whole seconds or not; at most as long as pending is borne at all."""
        for told, waits in ((7, 18.0), (7.5, 18.5), (1e300, 11 + DAY.total_seconds())):
            facts = effect(LUCKY, PROBED, *DOUBT, asked(11, pending(told)), doubt=10)
            assert until(at_once(facts, 12)) == waits

    def test_s21_pending_has_a_budget_of_its_own(self) -> None:
        """It outlasts `settle_within` and the number of probes, and ends."""
        how = policy(
            can_probe=True, settle_within=timedelta(seconds=60), pending_within=timedelta(hours=1), probes=2
        )
        facts = effect(LUCKY, how, *DOUBT, *(asked(11 + n, pending()) for n in range(5)), doubt=10)
        assert at_once(facts, 3000) == Probe(Phase.QUIET)
        assert isinstance(at_once(facts, 3611), Park)

    def test_s21_probes_follow_backoff_with_full_jitter(self) -> None:
        """From half a second, doubling, to a minute."""
        for count, most in ((1, 0.5), (2, 1.0), (3, 2.0), (12, 60.0)):
            seen = [asked(11, NoAnswer("down"))] * count
            facts = effect(LUCKY, PROBED, *DOUBT, *seen, doubt=10, quiet_from=None)
            assert until(at_once(facts, 11, jitter=1.0)) == 11 + most
            assert until(at_once(facts, 11, jitter=0.0)) == 11.1

    def test_s21_the_quiet_and_each_attempt_back_off_anew(self) -> None:
        """A status endpoint that is down once keeps a saga for a second, however often it was asked before."""
        early = [asked(11 + n) for n in range(9)]
        facts = effect(FORGETFUL, PROBED, *DOUBT, *early, quiet(70, NoAnswer("down")), doubt=10)
        assert until(at_once(facts, 70, jitter=1.0)) == 70.5
        lost_again = (intended(2, 76), replied(UNHEARD, 2))
        late = asked(77, attempt=2)
        facts = effect(FORGETFUL, PROBED, *DOUBT, *early, quiet(70), quiet(75), *lost_again, late, doubt=10)
        assert until(at_once(facts, 77, jitter=1.0)) == 77.5

    def test_s22_the_budget_is_time(self) -> None:
        """`settle_within` from the beginning of the doubt; then the saga parks, in doubt."""
        how = policy(can_probe=True, settle_within=timedelta(seconds=60))
        facts = effect(LUCKY, how, *DOUBT, doubt=10)
        assert isinstance(at_once(facts, 70), Probe)
        command = at_once(facts, 71)
        assert isinstance(command, Park)
        assert command.cause is ParkCause.IN_DOUBT
        assert command.reason

    def test_s22_the_budget_is_a_number_of_probes(self) -> None:
        """Whichever is spent first."""
        how = policy(can_probe=True, probes=2)
        assert isinstance(at_once(effect(FORGETFUL, how, *DOUBT, asked(11), doubt=10), 20), Probe)
        assert isinstance(at_once(effect(FORGETFUL, how, *DOUBT, asked(11), asked(12), doubt=10), 20), Park)

    def test_s22_an_operator_gives_a_spent_budget_anew(self) -> None:
        """Both time and probes count from then."""
        how = policy(can_probe=True, probes=1, settle_within=timedelta(seconds=60))
        again = RetryAsked("ada", "their status works again", at(500))
        facts = effect(FORGETFUL, how, *DOUBT, asked(11), again, doubt=10)
        assert isinstance(at_once(facts, 560), Probe)
        assert isinstance(at_once(facts, 561), Park)

    def test_s24_at_most_once(self) -> None:
        """Neither a probe nor dedup: unknown parks at once, and is never sent again."""
        for last in (replied(UNHEARD), Lost(1)):
            assert isinstance(at_once(effect(FORGETFUL, BLIND, intended(), last, doubt=0), 0), Park)

    def test_s24_repeatable_is_resent(self) -> None:
        """A duplicate is acceptable: no probe, no wait for quiescence."""
        how = policy(kind=Kind.REPEATABLE)
        assert at_once(effect(FORGETFUL, how, *DOUBT, doubt=10), 10) == Send(2)

    def test_s24_reads_are_resent(self) -> None:
        """They change nothing."""
        assert at_once(effect(FORGETFUL, policy(kind=Kind.READS), *DOUBT), 10) == Send(2)

    @pytest.mark.parametrize("want", Want)
    def test_s24_an_accepted_doubt_goes_on_degraded(self, want: Want) -> None:
        """It claims nothing: neither landed nor not."""
        how = policy(in_doubt=InDoubt.ACCEPT)
        command = at_once(effect(FORGETFUL, how, *DOUBT, doubt=10), 10, want=want)
        assert command == Accept("attempt 1: timeout")
