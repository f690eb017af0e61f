"""`python -m fairlead_runtime.cli`."""

import sys

from fairlead_runtime.cli.main import main

sys.exit(main())
