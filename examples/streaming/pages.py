"""The values that travel between the page, its saga and the services. Nothing here does anything."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Visit:
    """A viewer opens the page, looks for something, and goes on watching a title."""

    id: str
    viewer: str
    query: str
    title: str


@dataclass(frozen=True, slots=True)
class Row:
    """A row of titles under its heading."""

    heading: str
    titles: list[str]


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream that was opened for one visit."""

    id: str
    title: str


@dataclass(frozen=True, slots=True)
class HomePage:
    """What the viewer sees."""

    rows: list[Row]
    playing: str


POPULAR = Row("Popular now", ["Harbour Lights", "The Long Take", "Second Spring"])
"""Known to whoever shows a page: nobody has to be asked for it."""
NO_SEARCH = Row("Search is not there at the moment", [])
