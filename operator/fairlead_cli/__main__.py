"""`fairlead`, and `kubectl fairlead`: run a command, and end with its exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    try:
        import click
        import rich  # noqa: F401 - only whether it is there
    except ImportError as error:
        sys.stderr.write(f"error: {error}\nhint: pip install 'fairlead[cli]'\n")
        return 1
    from fairlead_cli import output
    from fairlead_cli.commands import cli
    from fairlead_cli.completion import PROGRAM, VARIABLE
    from fairlead_cli.errors import CLIError, Exit

    plugin = Path(sys.argv[0]).name.startswith("kubectl-")
    name = "kubectl fairlead" if plugin else PROGRAM
    try:
        result = cli.main(
            list(sys.argv[1:] if argv is None else argv),
            prog_name=name, complete_var=VARIABLE, standalone_mode=False,
        )  # fmt: skip
        sys.stdout.flush()
    except CLIError as error:
        output.show(output.labelled("error: ", "bad", str(error)), stream=sys.stderr)
        if error.hint:
            output.show(output.labelled("hint: ", "busy", error.hint), stream=sys.stderr)
        return int(error.code)
    except click.ClickException as error:
        error.show()
        return int(Exit.USAGE)
    except (click.Abort, KeyboardInterrupt):
        return int(Exit.INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has gone; the interpreter's own flush must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Exit.OK)
    return result if isinstance(result, int) else int(Exit.OK)


if __name__ == "__main__":
    sys.exit(main())
