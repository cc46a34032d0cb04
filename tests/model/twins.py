"""The protocol's profiles, and its buggy twins: each the same protocol without one rule, and where that shows.

Rules that hold here: a twin is found on the smallest profile on which its rule matters; a twin that is not found is
a hole in the invariants, and a rule that no twin lacks is one that the model does not hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from tests.model.checker import Explored, explore
from tests.model.protocol import Rules
from tests.model.saga_model import model
from tests.model.world import Profile, Remembers, World

KEYS_AND_PROBE = Profile(Remembers.ALL, can_probe=True)
SUCCESSES_AND_PROBE = Profile(Remembers.SUCCESSES, can_probe=True)
SUCCESSES = Profile(Remembers.SUCCESSES, can_probe=False)
PROBE = Profile(Remembers.NOTHING, can_probe=True)
NOTHING = Profile(Remembers.NOTHING, can_probe=False)
PERSON = Profile(Remembers.NOTHING, can_probe=False, person=True)
PROFILES = (KEYS_AND_PROBE, SUCCESSES_AND_PROBE, SUCCESSES, PROBE, NOTHING, PERSON)


@dataclass(frozen=True, slots=True)
class Twin:
    """The protocol without one rule. does: what it does instead. caught: the invariant that finds it out."""

    without: str
    rule: str
    does: str
    caught: str
    profile: Profile = NOTHING

    @property
    def name(self) -> str:
        """As the command line takes it."""
        return self.without.replace(" ", "-")


TWINS = (
    Twin("intent before send", "S5", "calls first, and writes when it has a reply", "no send without a durable intent"),
    Twin("a commit is verified", "S6", "takes a COMMIT without a reply for done", "no send without a durable intent"),
    Twin("absence needs a lock", "S6", "reads after a lost COMMIT, finds no intent, and takes it that there is none",
         "nothing is compensated while an effect is in doubt"),
    Twin("a batch has a number", "S6", "runs a lost batch again without a number that fences its ghost",
         "a batch is written once"),
    Twin("a lost claim is found", "S6", "forgets a claim whose reply was lost", "when faults stop, an end is reached"),
    Twin("one key an effect", "S7", "takes a new key for a retry", "no effect happens twice", SUCCESSES),
    Twin("no intent is taken for never sent", "S9, S33", "takes over, and sends at once what the dead worker had begun",
         "a verdict is true"),
    Twin("budget before send", "S11", "does not look at the clock before the call", "a verdict is true", PROBE),
    Twin("unknown is no failure", "S2, S26", "takes a timeout for a failure", "compensated: net zero"),
    Twin("not found proves nothing", "S13", 'takes "not found" for "failed"', "a verdict is true", PROBE),
    Twin("two quiet reads", "S16", "believes one quiet read, which may lag", "a verdict is true", PROBE),
    Twin("no resend without dedup", "S14", "sends again to a service that keeps no keys", "no effect happens twice"),
    Twin("a refusal speaks for itself", "S17", "takes the refusal of attempt 2 for the fate of attempt 1",
         "compensated: net zero", SUCCESSES),
    Twin("not executed speaks for itself", "S4", 'takes "not executed" of attempt 2 for the fate of attempt 1',
         "compensated: net zero", SUCCESSES),
    Twin("settle before the turn", "S26, S27", "is cancelled, and turns while an effect is in doubt",
         "compensated: net zero"),
    Twin("reverse order", "S27", "undoes in the order of the start", "compensated in reverse order"),
    Twin("a refused effect is not undone", "S28", "undoes what was refused, too", "only what landed is compensated"),
    Twin("a refused undo is not done", "S29", "counts a refused undo as done", "compensated: net zero"),
    Twin("no forward intent after the turn", "S32", "takes a forward intent although a cancel is asked for",
         "no forward intent after a turn or a cancel"),
    Twin("fence and claim", "S33", "lets a worker write that was declared dead",
         "only who has a row and the claim writes"),
    Twin("who lost the claim writes only evidence", "S25, S33", "writes a late reply as the effect's outcome",
         "a verdict is true", SUCCESSES),
    Twin("parked only with cause", "S22", "parks where it should turn", "parked only with cause"),
    Twin("a person looks when it is quiet", "S16, S37", "takes a person's word while the request may be on its way",
         "a verdict is true", PERSON),
)  # fmt: skip


@cache
def explored(profile: Profile) -> Explored[World]:
    """The true protocol on one profile."""
    return explore(model(Rules(profile)))


@cache
def found(twin: Twin) -> Explored[World]:
    """What the twin is caught by."""
    return explore(model(Rules(twin.profile, twin.without)))
