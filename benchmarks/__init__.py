"""How fast the engine is, beside the least that any engine must do. `make bench` prints a table and one JSON line.

Rules that hold here: engine and bare loop run in one go on the same Postgres, a fresh database each; figures are medians of
repetitions with their spread; what could not run is said to be missing and never guessed; no figure is a test's limit.
"""
