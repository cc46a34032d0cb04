"""Three services that belong to somebody else: inventory, payment, notification.

Each is a process with a ledger of its own. `desk` is the way of every request through them, `faults` what can go
wrong on that way, `ledger` what stays, `admin` the routes for tests, `control` the client for those routes.

| service | remembers under a key | status by key | promises |
| --- | --- | --- | --- |
| inventory | every answer, refusals too | reservations and releases | 503 means that nothing was done |
| payment | successes only; a refusal is decided anew | charges and refunds | 503 means that nothing was done |
| notification | nothing | none | 503 means that nothing was done |

All of them drop a request that would land later than its `Request-Deadline` plus the lateness they promise.
"""
