"""Outside systems of the chaos run, each with a ledger that is on disk before any reply leaves.

| service | process | remembers | declared | way back |
| --- | --- | --- | --- | --- |
| stock | market | every answer, refusals too | lateness 2 s | released by id |
| bank | market | successes only | lateness 2 s | refunded by id |
| courier | street | nothing, answers by key from a view that lags | lateness 2 s, staleness 300 ms | recalled by id |
| warehouse | warehouse | every answer, by `saga.barrier` in its own Postgres | lateness 2 s | put back by key |

`ledger` is what stays, `desk` the rules of the first three, `warehouse` the fourth, `trouble` what goes wrong on the
way to any of them, `serve` the processes.
"""
