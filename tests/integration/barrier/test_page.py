"""docs/your-own-services.md, executed: each block of Python runs as it stands."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import make_url

from saga import Engine, Refused, saga
from saga.barrier.asgi import BarrierMiddleware
from tests.integration.barrier.place import Place
from tests.integration.barrier.web import calling
from tests.support import repository

PAGE = (repository.ROOT / "docs" / "your-own-services.md").read_text()
BLOCK, MIDDLEWARE, CALLER, PURGE = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def run(block: str, place: Place) -> dict[str, Any]:
    """What the block defines."""
    url = make_url(place.url).set(drivername="postgresql+psycopg")
    names: dict[str, Any] = {"DATABASE_URL": url, "__name__": "page"}
    exec(compile(block, "your-own-services.md", "exec", dont_inherit=True), names)
    return names


def test_the_block_of_the_page_books_once(place: Place) -> None:
    """The assertions in it hold, and the refusal that it shows is stored."""
    page = run(BLOCK, place)
    for _ in range(2):
        with pytest.raises(Refused, match="nobody owns the moon"):
            page["book"]("k3", "the moon")
    with pytest.raises(Exception, match="fenced"):
        page["book"]("k2", "a sofa")
    assert place.works() == 0
    assert len(place.rows()) == 5
    page["engine"].dispose()
    run(PURGE, place)["engine"].dispose()
    assert len(place.rows()) == 5


async def test_the_middleware_of_the_page_books_once(place: Place) -> None:
    """Two requests with a key are one, and the status route knows it."""
    page = run(MIDDLEWARE, place)
    assert page["app"].user_middleware[0].cls is BarrierMiddleware
    async with calling(page["app"]) as client:
        for _ in range(2):
            reply = await client.post(
                path="/bookings", body={"what": "work"}, content_type="application/json"
            )
            assert (reply.status_code, reply.json()) == (201, {"what": "work"})
        assert (await client.status()).json()["result"] == {"what": "work"}
    assert place.works() == 1
    await page["database"].dispose()


def test_the_caller_of_the_page_is_accepted_by_an_engine(place: Place) -> None:
    """Its step, probes and promises have no problem that an engine would name."""
    page = run(CALLER, place)

    @saga("booking")
    async def booking(what: str) -> str:
        return str((await page["book"](what)).what)

    Engine(place.url, sagas=[booking])
