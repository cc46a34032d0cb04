"""`saga demo`: its audit is honest, its show leaves nothing behind, and its exit code says whether promises held."""

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import pytest

from examples.checkout.processes import child_environment
from examples.checkout.services.book import Book, BookedEffect, BookedRefusal
from saga.demo import run
from saga.demo.audit import Books, Findings, Heard, audit
from saga.demo.customers import shopping_list
from saga.demo.report import Outcome, broken_promises, json_line
from saga.dev.processes import wait_until

KEYS = [
    "v",
    "orders",
    "confirmed",
    "declined",
    "try_again",
    "processing",
    "parked",
    "worker_kills",
    "lost_replies",
    "double_charges",
    "orphan_charges",
    "wrong_answers",
    "naive_double_charges",
    "naive_orphans",
    "seconds",
]


def effect(
    kind: str, at: float, number: int = 1, undoes: str | None = None, *, delivered: bool = True
) -> BookedEffect:
    return BookedEffect(f"{kind}-{number}", at, kind, "o", f"k{number}", undoes, {}, delivered)


def book(effects: Iterable[BookedEffect] = (), refusals: Iterable[BookedRefusal] = ()) -> Book:
    return Book(tuple(effects), tuple(refusals), ())


def audited(
    *payment: BookedEffect,
    stock: Iterable[BookedEffect] = (),
    heard: Iterable[tuple[float, str]],
    refusals: Iterable[BookedRefusal] = (),
    parked: Iterable[str] = (),
) -> Findings:
    books = Books(book(stock), book(payment, refusals), book())
    return audit(books, [Heard("o", at, word) for at, word in heard], ["o"], set(parked))


RESERVED, CHARGED = effect("reservation", 1), effect("charge", 2)
RELEASED, REFUNDED = effect("release", 5, undoes="reservation-1"), effect("refund", 4, undoes="charge-1")


def counts(found: Findings) -> tuple[int, int, int, int]:
    return found.double_charges, found.orphan_charges, found.wrong_answers, found.surplus


def test_a_confirmed_order_needs_exactly_one_charge_and_one_reservation_at_that_moment() -> None:
    assert counts(audited(CHARGED, stock=[RESERVED], heard=[(0, "processing"), (3, "confirmed")])) == (
        0,
        0,
        0,
        0,
    )
    assert counts(audited(CHARGED, heard=[(3, "confirmed")])) == (0, 0, 1, 0)
    assert counts(audited(stock=[RESERVED], heard=[(3, "confirmed")])) == (0, 0, 1, 0)
    too_early = audited(CHARGED, stock=[RESERVED], heard=[(1.5, "confirmed"), (3, "confirmed")])
    assert counts(too_early) == (0, 0, 1, 0)


def test_a_second_charge_is_double_even_if_it_was_refunded() -> None:
    second = effect("charge", 2.5, 2)
    both = audited(CHARGED, second, stock=[RESERVED], heard=[(3, "confirmed")])
    assert counts(both) == (1, 0, 1, 0)
    made_good = audited(
        CHARGED, second, effect("refund", 2.7, 1, "charge-2"), stock=[RESERVED], heard=[(3, "confirmed")]
    )
    assert counts(made_good) == (1, 0, 0, 0)


@pytest.mark.parametrize("word", ["declined", "try_again"])
def test_no_means_that_nothing_stands_then_or_later(word: str) -> None:
    undone = audited(CHARGED, REFUNDED, stock=[RESERVED, RELEASED], heard=[(3, "processing"), (6, word)])
    assert counts(undone) == (0, 0, 0, 0)
    before_the_release = audited(CHARGED, REFUNDED, stock=[RESERVED, RELEASED], heard=[(4.5, word)])
    assert counts(before_the_release) == (0, 0, 1, 0)
    late = audited(effect("charge", 9), heard=[(6, word)])
    assert counts(late) == (0, 1, 0, 0)


def test_a_charge_of_an_order_that_a_person_looks_after_is_no_orphan() -> None:
    assert counts(audited(CHARGED, heard=[(3, "processing")])) == (0, 1, 0, 0)
    assert counts(audited(CHARGED, heard=[(3, "processing")], parked=["o"])) == (0, 0, 0, 0)


def test_what_is_undone_twice_is_found() -> None:
    again = effect("refund", 6, 2, "charge-1")
    found = audited(CHARGED, REFUNDED, again, heard=[(7, "declined")])
    assert counts(found) == (0, 0, 0, 1)
    assert found.sentences == ["o: refunded more than once"]


def test_a_reply_is_lost_when_its_own_request_never_got_it() -> None:
    lost = effect("charge", 2, delivered=False)
    assert audited(lost, stock=[RESERVED], heard=[(3, "confirmed")]).lost_replies == 1


def outcome(found: Findings, kills: int = 3) -> Outcome:
    return Outcome(found, found, workers=3, kills=kills, seconds=1.0)


def test_every_promise_of_the_demo_is_checked() -> None:
    refusal = BookedRefusal(2, "charge", "o", "k1", "card_declined", delivered=True)
    lost = effect("reservation", 1, delivered=False)
    good = audited(stock=[lost, RELEASED], heard=[(6, "declined")], refusals=[refusal])
    assert broken_promises(outcome(good)) == []
    assert broken_promises(outcome(good, kills=2)) == ["only 2 kills for 3 workers"]
    no_refusal = audited(stock=[lost, RELEASED], heard=[(6, "declined")])
    assert broken_promises(outcome(no_refusal)) == ["1 orders declined, but 0 refused in the ledgers"]
    stuck = audited(stock=[lost], heard=[(6, "processing")])
    assert broken_promises(outcome(stuck)) == ["1 orders processing, but 0 sagas parked"]
    calm = audited(stock=[RESERVED, RELEASED], heard=[(6, "declined")], refusals=[refusal])
    assert "lost replies" in broken_promises(outcome(calm))[0]
    bad = audited(CHARGED, effect("charge", 3, 2), heard=[(6, "declined")], refusals=[refusal])
    assert len(broken_promises(outcome(bad))) == 4


def test_the_json_line_has_the_keys_that_programs_read() -> None:
    line = json.loads(json_line(outcome(audited(CHARGED, stock=[RESERVED], heard=[(3, "confirmed")]))))
    assert list(line) == KEYS
    assert (line["v"], line["orders"], line["confirmed"]) == (1, 1, 1)


def test_a_seed_gives_the_same_orders() -> None:
    assert shopping_list(50, 7) == shopping_list(50, 7)
    assert shopping_list(50, 7) != shopping_list(50, 8)


def test_a_missing_extra_is_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "find_spec", lambda name: None if name == "uvicorn" else find_spec(name))
    assert run.run_demo(10, 1, 7, json=True) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "saga demo: this needs uvicorn: pip install 'saga-engine[demo]'\n"


@pytest.fixture
def mark() -> str:
    """In the environment of a demo and of everything that it starts."""
    return f"saga-demo-test-{uuid.uuid4().hex}"


def demo(mark: str, orders: int, seed: int = 7) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "saga.cli.main", "demo", "--workers", "2", "--json"]
    return subprocess.Popen(
        [*command, "--orders", str(orders), "--seed", str(seed)],
        env=child_environment({"SAGA_TEST_MARK": mark, "HTTP_PROXY": "http://127.0.0.1:9"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell that starts the tests in the background has Ctrl-C ignored in all of its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  # no thread runs here
    )


def marked(mark: str) -> list[str]:
    """The commands of all living processes that have the mark."""
    if not Path("/proc").is_dir():
        shown = subprocess.run(
            ["/bin/ps", "-AEww", "-o", "command="], capture_output=True, text=True, check=True
        )
        return [line for line in shown.stdout.splitlines() if mark in line]
    found: list[str] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # gone meanwhile
    return found


def wait_for_customers(running: subprocess.Popen[str]) -> None:
    assert running.stderr is not None
    for line in running.stderr:
        if "confirmed" in line and "confirmed 0" not in line:
            return
    pytest.fail(f"the demo ended early, exit {running.wait()}")


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_two_demos_side_by_side_keep_every_promise(mark: str) -> None:
    both = [demo(mark, 40), demo(mark, 40, seed=8)]
    for running in both:
        out, said = running.communicate(timeout=140)
        assert running.returncode == 0, said
        (line,) = out.splitlines()
        result = json.loads(line)
        assert list(result) == KEYS
        assert (
            result["orders"]
            == 40
            == sum(result[w] for w in ("confirmed", "declined", "try_again", "processing"))
        )
        assert result["worker_kills"] >= 2
        assert result["naive_double_charges"] > 0
    assert marked(mark) == []


@pytest.mark.slow
@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_a_demo_that_is_ended_leaves_no_process(mark: str, how: signal.Signals, code: int) -> None:
    running = demo(mark, 40)
    wait_for_customers(running)
    assert len(marked(mark)) > 6  # itself, Postgres's watchdog, three services, the shop, two workers
    os.kill(running.pid, how)
    running.communicate(timeout=30)
    assert running.returncode == code
    wait_until(lambda: not marked(mark), 20, f"the end of {marked(mark)}")
