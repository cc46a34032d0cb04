"""The rules of the engine, pure: evidence in, verdicts and decisions out.

Nothing in this package reads a clock, draws a random number, logs, or touches a socket or a database;
`now` and jitter are arguments. An import contract checks that (see pyproject.toml).
"""
