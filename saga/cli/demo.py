"""`saga demo`: a shop under fire, and its audit."""

from __future__ import annotations

import typer


def add_to(app: typer.Typer) -> None:
    """The command `demo`."""
    app.command()(demo)


def demo(
    orders: int = typer.Option(300, help="How many customers order."),
    workers: int = typer.Option(3, help="How many workers serve, and at least how many of them are killed."),
    seed: int = typer.Option(7, help="Of the orders, the faults and the kills."),
    json: bool = typer.Option(
        False, "--json", help="For programs: only the line of JSON, which ends stdout, and no table."
    ),
) -> int:
    """A shop under fire: replies get lost, workers are killed, and the services' ledgers are audited."""
    from saga.demo.run import run_demo

    return run_demo(orders, workers, seed, json)
