"""The saga engine for Python and Postgres that never guesses."""
