"""`make mutants`: hunt every mutant, and the code as it is; a last line that says how many were caught.

Rules that hold here: the code as it is comes first, and must be clean over every run that is to catch a mutant; a
mutant that survives its budget fails the whole, and so does one whose code has moved.
"""

from __future__ import annotations

import sys

from tests.proof.mutants.report import main

if __name__ == "__main__":
    sys.exit(main())
