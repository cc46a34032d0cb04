"""The proof: simulation, exhaustive paths and mutants. Each is a command, and has a short form in the tests."""
