"""The command line: it parses, calls the public functions, and prints.

One module per command. Each imports what it needs when it runs, so that --help and usage errors
appear at once.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments; those of the process by default.

    Returns:
        0 if all went well, 1 if some recordings failed, 2 if nothing could be done, 130 after
        Ctrl-C, 143 after SIGTERM, 129 after SIGHUP.

    Raises:
        SystemExit: after ``--help``, ``--version`` and wrong usage.
    """
    try:
        # Imported here, since Ctrl-C may come meanwhile; Python's own import may lose it too.
        from soundsep.interrupts import interrupts_held, terminations_raised

        with terminations_raised():
            with interrupts_held():
                from soundsep.cli.commands import run_command
            return run_command(argv)
    except KeyboardInterrupt as stop:
        from soundsep.cli.console import note, standard_streams

        with standard_streams():
            note("stopped")
        return 128 + int(getattr(stop, "number", signal.SIGINT))
