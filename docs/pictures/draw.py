# ruff: noqa: INP001 - a program beside its pages, no package
"""Draws the pictures of the pages beside it: `python docs/pictures/draw.py` writes them anew.

Rules: plain shapes and text on a light ground, so that they are read on light and on dark pages alike; no fonts, no
images, no scripts from elsewhere; what colour says is said in words, too.
"""

from collections.abc import Callable
from pathlib import Path

INK, QUIET, BAD, GOOD, CALM, LINE = "#1f2937", "#6b7280", "#b42318", "#067647", "#175cd3", "#d1d5db"
HERE = Path(__file__).parent


class Picture:
    """One picture of a width and a height in pixels, with a title for those who cannot see it."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
            '<g role="img" font-family="system-ui, sans-serif" font-size="14">',
            f"<title>{title}</title>",
            f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8" fill="#ffffff" stroke="{LINE}"/>',
        ]

    def text(
        self, x: float, y: float, words: str, colour: str = INK, *, at: str = "middle", bold: bool = False
    ) -> None:
        """Lines of words, `|` between them."""
        weight = ' font-weight="600"' if bold else ""
        for number, line in enumerate(words.split("|")):
            self._parts.append(
                f'<text x="{x}" y="{y + 18 * number}" fill="{colour}" text-anchor="{at}"{weight}>{line}</text>'
            )

    def line(
        self, x1: float, y1: float, x2: float, y2: float, colour: str = LINE, *, dashed: bool = False
    ) -> None:
        """A straight line."""
        dashes = ' stroke-dasharray="5 4"' if dashed else ""
        self._parts.append(
            f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{colour}" stroke-width="1.5"{dashes}/>'
        )

    def arrow(
        self, x1: float, y1: float, x2: float, y2: float, colour: str = INK, *, dashed: bool = False
    ) -> None:
        """A line with a head at its end."""
        self.line(x1, y1, x2, y2, colour, dashed=dashed)
        length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
        ux, uy = (x2 - x1) / length, (y2 - y1) / length
        bx, by = x2 - 10 * ux, y2 - 10 * uy
        points = f"{x2:.1f},{y2:.1f} {bx - 4 * uy:.1f},{by + 4 * ux:.1f} {bx + 4 * uy:.1f},{by - 4 * ux:.1f}"
        self._parts.append(f'<polygon points="{points}" fill="{colour}"/>')

    def cross(self, x: float, y: float) -> None:
        """Here something was lost."""
        self.line(x - 6, y - 6, x + 6, y + 6, BAD)
        self.line(x - 6, y + 6, x + 6, y - 6, BAD)

    def dot(self, x: float, y: float, colour: str) -> None:
        """Here something happened."""
        self._parts.append(f'<circle cx="{x}" cy="{y}" r="6" fill="{colour}"/>')

    def box(self, x: float, y: float, width: float, height: float, words: str, *, colour: str = INK) -> None:
        """Words in a frame, centred."""
        self._parts.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" fill="#f9fafb" stroke="{colour}"'
            ' stroke-width="1.5"/>'
        )
        lines = words.count("|") + 1
        self.text(x + width / 2, y + height / 2 + 5 - 9 * (lines - 1), words, colour)

    def svg(self) -> str:
        """The whole of it."""
        return "\n".join([*self._parts, "</g>", "</svg>", ""])


def one_silence() -> str:
    """Three worlds that look alike to the caller."""
    p = Picture(
        900, 350, "A timeout looks the same whether the request was lost, the reply was lost, or it is late"
    )
    worlds = ("the request was lost", "the reply was lost", "the request is late")
    for number, title in enumerate(worlds):
        left, right = 300 * number + 70, 300 * number + 230
        p.text(300 * number + 150, 36, title, bold=True)
        p.text(left, 68, "shop", QUIET)
        p.text(right, 68, "psp", QUIET)
        p.line(left, 78, left, 290)
        p.line(right, 78, right, 290)
        p.dot(left, 210, BAD)
        p.text(left + 14, 215, "timeout", BAD, at="start")
        if number:
            p.line(300 * number, 20, 300 * number, 310)
    p.arrow(70, 100, 145, 116)
    p.cross(158, 119)
    p.text(230, 310, "not charged", QUIET)
    p.arrow(370, 100, 523, 130)
    p.dot(530, 132, GOOD)
    p.arrow(530, 138, 452, 158)
    p.cross(440, 161)
    p.text(530, 310, "charged", GOOD)
    p.arrow(670, 100, 823, 262, dashed=True)
    p.dot(830, 268, GOOD)
    p.text(830, 310, "charged later", GOOD)
    p.text(450, 338, "What the shop sees is the same in all three: a timeout. It proves nothing.", BAD)
    return p.svg()


def settling() -> str:
    """What the engine does with a doubt."""
    p = Picture(
        900, 400, "A doubt is settled by asking; what follows depends on whether the effect is still wanted"
    )
    p.box(20, 30, 170, 56, "intent committed|in your Postgres", colour=CALM)
    p.arrow(190, 58, 240, 58)
    p.box(240, 30, 120, 56, "request sent")
    p.arrow(360, 58, 410, 58)
    p.box(410, 30, 170, 56, "no proof came back:|in doubt", colour=BAD)
    p.arrow(580, 58, 640, 58)
    p.box(640, 30, 240, 56, "ask the service, by the key", colour=CALM)
    p.line(760, 86, 760, 116, INK)
    p.line(110, 116, 760, 116, INK)
    for x, answer in ((110, "“landed”"), (395, "“not found”"), (680, "“pending”, or no answer")):
        p.arrow(x, 116, x, 160)
        p.text(x + 10, 143, answer, at="start")
    p.box(20, 160, 180, 56, "settled: it happened,|go on with its result", colour=GOOD)
    p.box(270, 160, 250, 56, "proves nothing by itself:|is the effect still wanted?", colour=BAD)
    p.box(590, 160, 200, 56, "ask again, later and|later, for settle_within")
    p.arrow(330, 216, 250, 270)
    p.text(276, 238, "yes", at="end")
    p.arrow(460, 216, 490, 270)
    p.text(488, 240, "no", at="start")
    p.arrow(690, 216, 690, 270)
    p.text(702, 246, "budget spent", at="start")
    p.box(
        110,
        270,
        250,
        74,
        "the same request again, under|the same key: the service takes|it once, whichever came first",
        colour=CALM,
    )
    p.box(
        380,
        270,
        220,
        74,
        "ask on until nothing can|arrive any more: then it is|settled, it never happened",
        colour=GOOD,
    )
    p.box(620, 270, 180, 74, "parked, for a person:|saga stuck", colour=BAD)
    p.text(
        450,
        380,
        "Whatever the way: while it is in doubt nothing is undone, and the customer sees processing.",
        QUIET,
    )
    return p.svg()


def quiet() -> str:
    """When silence becomes proof."""
    p = Picture(900, 260, "Silence is proof only after every deadline and the service's lateness have passed")
    y = 130
    p.line(40, y, 870, y, INK)
    p.text(870, 120, "time", QUIET, at="end")
    for x, above, below in (
        (70, "sent", "intent committed"),
        (270, "deadline", "intent + timeout"),
        (520, "quiet from here", "deadline + lateness"),
    ):
        p.line(x, y - 12, x, y + 12, INK)
        p.text(x, y - 22, above, bold=True)
        p.text(x, y + 32, below, QUIET)
    p.line(70, y, 520, y, BAD)
    p.text(295, 60, "the request may still arrive, and a “not found” proves nothing", BAD)
    p.line(70, 72, 70, 84, BAD)
    p.line(520, 72, 520, 84, BAD)
    p.line(70, 72, 520, 72, BAD)
    for x, colour in ((180, QUIET), (400, QUIET), (600, GOOD), (740, GOOD)):
        p.dot(x, y, colour)
        p.text(x, y + 62, "“not found”", colour)
    p.text(670, 60, "two of these settle it", GOOD)
    p.line(600, 72, 740, 72, GOOD)
    p.line(600, 72, 600, 84, GOOD)
    p.line(740, 72, 740, 84, GOOD)
    p.text(670, 212, "spaced by staleness", GOOD)
    p.text(
        450,
        245,
        "Then: not executed. A late watch keeps asking until the key expires, in case the promise was wrong.",
        QUIET,
    )
    return p.svg()


PICTURES: dict[str, Callable[[], str]] = {"one-silence": one_silence, "settling": settling, "quiet": quiet}


def main() -> None:
    """Write them."""
    for name, draw in PICTURES.items():
        (HERE / f"{name}.svg").write_text(draw())


if __name__ == "__main__":
    main()
