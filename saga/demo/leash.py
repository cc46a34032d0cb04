"""`python -m saga.demo.leash ARGUMENTS`: the `saga` command, in this very process, ending when standard input ends.

The demo holds the other end of that pipe, so a worker never outlives a demo, not even one that was killed -9. The
process is the worker itself and no wrapper around it: what the killer kills is what holds the lease.
"""

import runpy
import sys

from saga.demo.example import processes

if __name__ == "__main__":
    processes.tie_to_parent()
    sys.argv[0] = "saga"
    runpy.run_module("saga.cli.main", run_name="__main__", alter_sys=True)
