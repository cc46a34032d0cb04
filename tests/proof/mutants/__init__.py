"""Seeded bugs: each must be caught by the simulation, so that the invariants and the faults are tested too.

Rules that hold here: a mutant is a few changes of production's source, laid over it as it is imported, and never
written anywhere; each is run in a process of its own; a mutant whose place in the source has moved is an error and
not a survivor. Bugs in SQL are put into the model of the statement, because the simulated database runs models.
"""
