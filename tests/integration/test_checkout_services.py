"""The example's services are what crash tests and the demo stand on: their memory, their faults, their ledgers."""

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from examples.checkout.orders import CARD_DECLINED, CARD_GOOD, SOLD_OUT
from examples.checkout.processes import child_environment
from examples.checkout.services.control import Fault, Point, ServiceProcess, Services, start_all
from examples.checkout.services.faults import SeededFaults

PATIENCE, LATENESS = 0.3, 0.4
LOST = (httpx.ReadError, httpx.RemoteProtocolError)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Generator[Services]:
    with start_all(tmp_path_factory.mktemp("ledgers"), patience=PATIENCE, lateness=LATENESS) as running:
        yield running


def post(
    service: ServiceProcess, path: str, body: dict[str, object], key: str | None = None, **headers: str
) -> httpx.Response:
    if key is not None:
        headers["Idempotency-Key"] = key
    return httpx.post(service.url + path, json=body, headers=headers, timeout=PATIENCE, trust_env=False)


def get(service: ServiceProcess, path: str) -> httpx.Response:
    return httpx.get(service.url + path, timeout=PATIENCE, trust_env=False)


def charge(services: Services, order: str, key: str | None = None, card: str = CARD_GOOD) -> httpx.Response:
    return post(services.payment, "/charges", {"order": order, "card": card, "amount": "12.50"}, key)


def reserve(services: Services, order: str, key: str | None = None, sku: str = "sku-1") -> httpx.Response:
    return post(services.inventory, "/reservations", {"order": order, "sku": sku, "quantity": 2}, key)


def mail(services: Services, order: str, key: str | None = None) -> httpx.Response:
    return post(
        services.notification, "/mails", {"order": order, "to": "a@b.example", "subject": "thanks"}, key
    )


def test_inventory_remembers_successes_and_refusals(services: Services) -> None:
    first, again = reserve(services, "inv-1", "k1"), reserve(services, "inv-1", "k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert len(services.inventory.book().of("reservation", "inv-1")) == 1

    no, no_again = reserve(services, "inv-2", "k2", SOLD_OUT), reserve(services, "inv-2", "k2", SOLD_OUT)
    assert (no.status_code, no.json()["error"]["code"]) == (422, "sold_out")
    assert no_again.json() == no.json()
    assert [r.code for r in services.inventory.book().refusals if r.reference == "inv-2"] == ["sold_out"]

    assert get(services.inventory, "/reservations/by-key/k1").json() == first.json()
    assert get(services.inventory, "/reservations/by-key/k2").status_code == 422
    assert get(services.inventory, "/reservations/by-key/k3").status_code == 404


def test_payment_remembers_successes_only(services: Services) -> None:
    first, again = charge(services, "pay-1", "k1"), charge(services, "pay-1", "k1")
    assert first.json() == again.json()
    assert len(services.payment.book().of("charge", "pay-1")) == 1
    assert get(services.payment, "/charges/by-key/k1").json()["id"] == first.json()["id"]

    for _ in range(2):
        no = charge(services, "pay-2", "k2", CARD_DECLINED)
        assert (no.status_code, no.json()["error"]["code"]) == (402, "card_declined")
    assert len([r for r in services.payment.book().refusals if r.reference == "pay-2"]) == 2
    assert get(services.payment, "/charges/by-key/k2").status_code == 404


def test_notification_remembers_nothing(services: Services) -> None:
    mail(services, "mail-1", "k1")
    mail(services, "mail-1", "k1")
    assert len(services.notification.book().of("mail", "mail-1")) == 2


def test_a_key_that_comes_with_another_request_is_a_conflict(services: Services) -> None:
    reserve(services, "inv-3", "k-reused")
    other = reserve(services, "inv-3", "k-reused", "sku-2")
    assert (other.status_code, other.json()["error"]["code"]) == (409, "key_reused")
    assert len(services.inventory.book().of("reservation", "inv-3")) == 1


def test_a_refund_and_a_release_have_keys_and_status_of_their_own(services: Services) -> None:
    paid, held = charge(services, "undo-1", "f").json()["id"], reserve(services, "undo-1", "f").json()["id"]
    refund: dict[str, object] = {"order": "undo-1", "charge": paid, "amount": "12.50"}
    release: dict[str, object] = {"order": "undo-1", "reservation": held}
    for _ in range(2):
        assert post(services.payment, "/refunds", refund, "f-undo").status_code == 201
        assert post(services.inventory, "/releases", release, "f-undo").status_code == 201
    assert [e.undoes for e in services.payment.book().of("refund", "undo-1")] == [paid]
    assert [e.undoes for e in services.inventory.book().of("release", "undo-1")] == [held]
    assert get(services.payment, "/refunds/by-key/f-undo").status_code == 200
    assert get(services.inventory, "/releases/by-key/f-undo").status_code == 200
    unknown = post(services.payment, "/refunds", {**refund, "charge": "pay_none"}, "f-undo-2")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (422, "unknown_charge")


def test_a_lost_request_does_nothing_and_a_lost_reply_did_everything(services: Services) -> None:
    services.payment.fault("charge", Fault.LOSE_REQUEST, order="lost-1")
    services.payment.fault("charge", Fault.LOSE_REPLY, order="lost-2")
    for order in ("lost-1", "lost-2"):
        with pytest.raises(LOST):
            charge(services, order, order)
    book = services.payment.book()
    assert book.of("charge", "lost-1") == []
    (effect,) = book.of("charge", "lost-2")
    assert not effect.delivered
    assert charge(services, "lost-2", "lost-2").json()["id"] == effect.id
    assert (
        not services.payment.book().of("charge", "lost-2")[0].delivered
    )  # the reply of its own request stays lost


def test_an_error_after_the_effect_is_delivered_as_a_500(services: Services) -> None:
    services.payment.fault("charge", Fault.ERROR_AFTER_EFFECT, order="err-1")
    assert charge(services, "err-1", "err-1").status_code == 500
    (effect,) = services.payment.book().of("charge", "err-1")
    assert effect.delivered


def test_a_service_that_is_down_says_so_and_does_nothing(services: Services) -> None:
    services.payment.fault("charge", Fault.DOWN, count=2, order="down-1")
    assert [charge(services, "down-1", "d").status_code for _ in range(3)] == [503, 503, 201]
    assert len(services.payment.book().of("charge", "down-1")) == 1


def test_a_refusal_that_is_asked_for_is_remembered_by_the_service_that_remembers_refusals(
    services: Services,
) -> None:
    services.inventory.fault("reserve", Fault.REFUSE, order="no-1", code="recalled")
    services.payment.fault("charge", Fault.REFUSE, order="no-1", code="suspicious")
    assert [reserve(services, "no-1", "n").status_code for _ in range(2)] == [422, 422]
    assert [charge(services, "no-1", "n").status_code for _ in range(2)] == [422, 201]


def test_a_stalled_request_lands_after_the_deadline_and_within_the_lateness(services: Services) -> None:
    services.payment.fault("charge", Fault.STALL, order="stall-1")
    services.payment.close_gate("charge", Point.AFTER)
    deadline = time.time() + PATIENCE
    with pytest.raises(httpx.ReadTimeout):
        post(
            services.payment,
            "/charges",
            {"order": "stall-1", "card": CARD_GOOD, "amount": "1"},
            "s",
            **{"Request-Deadline": str(deadline)},
        )
    services.payment.wait_held("charge", Point.AFTER)
    (effect,) = services.payment.book().of("charge", "stall-1")
    assert deadline < effect.at < deadline + LATENESS
    services.payment.open_gate("charge", Point.AFTER)


def test_an_answer_that_is_late_belongs_to_an_effect_that_is_not(services: Services) -> None:
    services.payment.fault("charge", Fault.ANSWER_LATE, order="late-1")
    begun = time.time()
    with pytest.raises(httpx.ReadTimeout):
        charge(services, "late-1", "l")
    (effect,) = services.payment.book().of("charge", "late-1")
    assert effect.at < begun + PATIENCE
    assert not effect.delivered


def test_a_request_is_dropped_when_it_would_land_later_than_promised(services: Services) -> None:
    with pytest.raises(LOST):
        post(
            services.payment,
            "/charges",
            {"order": "old-1", "card": CARD_GOOD, "amount": "1"},
            "o",
            **{"Request-Deadline": str(time.time() - LATENESS - 0.1)},
        )
    book = services.payment.book()
    assert book.of("charge", "old-1") == []
    assert [r.trouble for r in book.arrivals("charge", "old-1")] == ["dropped_as_too_late"]


@pytest.mark.parametrize(("point", "effects"), [(Point.BEFORE, 0), (Point.AFTER, 1)])
def test_a_gate_holds_a_request_before_or_after_its_effect(
    services: Services, point: Point, effects: int
) -> None:
    order = f"gate-{point}"
    services.payment.close_gate("charge", point)
    replies: list[int] = []

    def go() -> None:
        url = services.payment.url + "/charges"
        body = {"order": order, "card": CARD_GOOD, "amount": "1"}
        replies.append(httpx.post(url, json=body, timeout=20, trust_env=False).status_code)

    caller = threading.Thread(target=go)
    caller.start()
    services.payment.wait_held("charge", point)
    assert services.payment.held("charge", point) == 1
    assert services.payment.in_flight()["charge"] >= 1  # late answers of earlier tests may be under way too
    assert len(services.payment.book().of("charge", order)) == effects
    assert services.payment.open_gate("charge", point) == 1
    caller.join()
    assert replies == [201]
    assert len(services.payment.book().of("charge", order)) == 1


def test_nobody_at_the_gate_is_a_timeout_and_not_a_hang(services: Services) -> None:
    with pytest.raises(TimeoutError, match="0 of 1 requests held before refund of payment"):
        services.payment.wait_held("refund", within=0.05)


def test_a_ledger_outlives_a_kill_and_the_port_stays(tmp_path: Path) -> None:
    service = ServiceProcess("payment", tmp_path)
    body: dict[str, object] = {"order": "o", "card": CARD_GOOD, "amount": "1"}
    paid = post(service, "/charges", body, "k").json()["id"]
    service.kill()
    with pytest.raises(httpx.ConnectError):
        post(service, "/charges", body, "k")
    service.restart()
    assert post(service, "/charges", body, "k").json()["id"] == paid
    assert [e.id for e in service.book().of("charge", "o")] == [paid]
    service.stop()


def test_a_malformed_request_is_a_400_and_a_taken_port_is_a_sentence(
    services: Services, tmp_path: Path
) -> None:
    assert post(services.payment, "/charges", {"order": "x"}).status_code == 400
    port = str(services.payment.port)
    command = [
        sys.executable,
        "-m",
        "examples.checkout.services.payment",
        "--port",
        port,
        "--ledger",
        str(tmp_path),
    ]
    ended = subprocess.run(
        command, env=child_environment(), capture_output=True, text=True, check=False, timeout=20
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"payment: port {port} is not to be had")
    assert "Traceback" not in ended.stderr


def test_a_service_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path\n"
        "from examples.checkout.services.control import ServiceProcess\n"
        "s = ServiceProcess('payment', Path(sys.argv[1])); print(s.url, flush=True); sys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        env=child_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    url = parent.stdout.readline().strip()
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=20) as connection:
        parent.kill()
        parent.wait()
        with contextlib.suppress(ConnectionResetError):  # it was not accepted yet
            assert connection.recv(1) == b""  # the kernel closes it when the service is gone
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/admin/state", trust_env=False)


def test_faults_follow_from_the_seed_the_order_and_the_arrival_alone() -> None:
    one, same, other = (SeededFaults(s, "payment") for s in (7, 7, 8))
    asked = [("charge", f"o-{n}", nth) for n in range(200) for nth in (1, 2, 3, 4)]
    assert [one.draw(*a) for a in asked] == [same.draw(*a) for a in asked]
    assert [one.draw(*a) for a in asked] != [other.draw(*a) for a in asked]
    assert {t.fault for a in asked if (t := one.draw(*a))} >= {
        Fault.LOSE_REQUEST,
        Fault.LOSE_REPLY,
        Fault.DOWN,
    }
    assert {t.fault for a in asked if a[2] == 4 and (t := one.draw(*a))} <= {Fault.DOWN}
    assert all(SeededFaults(None, "payment").draw(*a) is None for a in asked)
