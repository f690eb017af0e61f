"""`python -m fairlead_recorder`."""

import sys

from fairlead_recorder.cli import main

if __name__ == "__main__":
    sys.exit(main())
