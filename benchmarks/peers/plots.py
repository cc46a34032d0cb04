"""`python -m benchmarks.peers.plots FILE DIRECTORY`: the curves of `benchmarks.growth`, each as an SVG.

It stands with the peers because matplotlib is in their environment, and not in the project's.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "saga"  # so that the same figures make the same file
mpl.rcParams["svg.fonttype"] = "none"

from matplotlib import pyplot as plt  # noqa: E402 - after the back end was chosen

SIZE = (7.0, 3.2)


def draw(name: str, series: dict[str, Any], directory: Path) -> None:
    """One curve. A size of nothing stands at the left edge of its logarithmic axis."""
    figure, axes = plt.subplots(figsize=SIZE, layout="constrained")
    sizes = [size for size, _ in series["points"]]
    costs = [cost for _, cost in series["points"]]
    axes.plot(sizes, costs, marker="o", color="#1f5f8b")
    axes.set_xscale("symlog", linthresh=max(1, min(size for size in sizes if size)))
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel(series["against"])
    axes.set_ylabel(series["measured"])
    axes.set_title(series["about"], fontsize=8, loc="right", color="#666666")
    axes.grid(axis="y", alpha=0.3)
    figure.savefig(directory / f"{name}.svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)


def main() -> None:
    """All of them."""
    file, directory = Path(sys.argv[1]), Path(sys.argv[2])
    for name, series in json.loads(file.read_text()).items():
        draw(name, series, directory)


if __name__ == "__main__":
    main()
