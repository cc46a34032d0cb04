"""Tells the story with an embedded Postgres: two databases, a warehouse as a process, an engine with its worker."""

import asyncio
import os
import tempfile
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from saga import Engine
from saga.dev.embedded import temporary
from saga.store import migrate
from saga_worker import Worker

from .sagas import order_furniture
from .story import CHAPTERS, Story, open_warehouse


async def tell(database: str, warehouse: str, warehouse_database: str) -> None:
    """All chapters, one after the other."""
    async with Engine(database, sagas=[order_furniture]) as engine, Worker(engine, lease="3s"):
        story = Story(engine, warehouse, warehouse_database)
        for chapter in CHAPTERS:
            await chapter(story)
            print(f"ok  {(chapter.__doc__ or '').splitlines()[0]}", flush=True)


def main() -> None:
    """Set the stage, and take it down."""
    quick = {"fsync": "off", "full_page_writes": "off"}  # nothing of a story outlives it
    with temporary(settings=quick) as server, tempfile.TemporaryDirectory() as logs:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE warehouse")
        own = urlunsplit(urlsplit(server.url)._replace(path="/warehouse"))
        migrate.upgrade(server.url)
        warehouse = open_warehouse(own, Path(logs))
        os.environ["WAREHOUSE_URL"] = warehouse.url
        try:
            asyncio.run(tell(server.url, warehouse.url, own))
        finally:
            warehouse.stop()


if __name__ == "__main__":
    main()
