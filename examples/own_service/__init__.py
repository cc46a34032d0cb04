"""A service of one's own, behind a barrier, and a saga that calls it: `python -m examples.own_service`."""
