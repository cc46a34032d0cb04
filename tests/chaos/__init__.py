"""Chaos on real processes: workers, services, customers and two Postgres under faults from one seeded schedule.

`python -m tests.chaos --seconds 120 --seed 7` runs it: `run` is the whole, `plan` the schedule, `faults` what does it,
`wires` the TCP proxies, `database` the primary and its standby, `services` the outside systems with their ledgers,
`customers` who starts sagas and looks at them, `books` and `judge` the audit, off the services' ledgers.

Rule: what is judged is what the ledgers and the customers' log say; the engine's tables are only asked how each saga
ended, and whether they are sound in themselves.
"""
