"""`saga demo`: a shop under fire, audited by the ledgers of the services that it calls.

`run` is the whole show, `stage` the processes, `customers` who buys, `killer` who kills, `audit` what is believed in
the end: the services' ledgers, compared with every answer that any customer got. The shop itself is the example.
"""
