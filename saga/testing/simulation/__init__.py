"""The production worker on a simulated machine: virtual time, chosen faults, services with ledgers.

Rule that holds here: no second engine is simulated; everything that decides is the production module.
"""
