"""Says where this environment's Postgres and libpq come from, and fails unless both come from wheels.

Run by scripts/fresh.sh in each clone: a test that passes because the machine happens to have a Postgres proves
nothing about the machine that has none.
"""

import sys
from pathlib import Path

import psycopg

from saga.dev import places
from saga.dev.embedded import temporary


def main() -> None:
    """Starts a server, connects, and looks at what is really loaded and running."""
    site = Path(psycopg.__file__).parents[1]
    programs = places.binaries(places.account())
    allowed = (site, places.SHORT / "saga-postgres-")
    assert psycopg.pq.__impl__ == "binary", f"psycopg uses the {psycopg.pq.__impl__} libpq"
    assert str(programs).startswith(tuple(map(str, allowed))), programs
    with temporary() as server, psycopg.connect(server.url) as connection:
        row = connection.execute("SELECT version(), count(*) FROM pg_stat_activity").fetchone()
        running = Path(f"/proc/{server.pid}/exe")
        if running.exists():  # Linux
            assert running.resolve().parent == programs, running.resolve()
        maps = Path("/proc/self/maps")
        loaded = (
            {line.split(maxsplit=5)[-1] for line in maps.read_text().splitlines() if "libpq" in line}
            if maps.exists()
            else set()
        )
        assert all(path.startswith(str(site)) for path in loaded), loaded
    print(
        f"{row and row[0]}\n  programs: {programs}\n  libpq: {', '.join(sorted(loaded)) or 'binary'}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
