"""The command line: a thin face over `Engine` and `Operator`.

Rules that hold here: stdout is data and stderr is talk; whatever a command does is a method of the engine or of
its operator first; an expected error is one sentence that says what to do, with the documented exit code, and
never a traceback.
"""
