"""The console command `model2vec-numba`: runs a command and turns however it ends into an exit code and at most one line of error.

Exit codes: 0; 1 for a failure; 2 for a mistake in the arguments; 130 after Ctrl-C, 143 after SIGTERM and 141 when whoever read the output
went away, as shells report programs that such a signal ended.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

__all__ = ["main"]

_FAILURE = 1
_SIGPIPE = 128 + 13
_SIGINT = 128 + 2
_SIGTERM = 128 + 15


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit.

    Args:
        arguments: what follows the program's name; ``None``: those that the process was given.
    """
    try:
        import click

        from model2vec_numba.cli.commands import cli
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        _fail("the command line needs click: pip install 'model2vec-numba[cli]'")
    _end_in_order()
    # click's own `main` has other ideas of the exit codes and of what to print.
    try:
        with cli.make_context("model2vec-numba", list(sys.argv[1:] if arguments is None else arguments)) as context:
            cli.invoke(context)
    except click.exceptions.Exit as end:  # --help and --version
        sys.exit(end.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(_SIGPIPE)
    except KeyboardInterrupt:
        sys.exit(_SIGINT)
    except Exception as error:
        if sys.flags.dev_mode:  # python -X dev -m model2vec_numba …: for whoever looks for a bug in here
            raise
        _fail(_describe(error))
    sys.exit(0)


def _end_in_order() -> None:
    """Let Ctrl-C and SIGTERM end the process by an exception, which removes what a signal's default action would leave behind.

    The first of them alone: wrappers pass on a Ctrl-C that the terminal has sent already, and an exception while threads are waited for would
    end Python under them, which aborts the process.
    """

    def end(number: int, _frame: object) -> NoReturn:
        for name in caught:
            signal.signal(name, signal.SIG_IGN)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(_SIGTERM)

    # What was started without Ctrl-C, as shells start what is to run in the background, goes on without.
    caught = [name for name in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(name) != signal.SIG_IGN]
    for name in caught:
        signal.signal(name, end)


def _describe(error: Exception) -> str:
    """What went wrong, for a reader who does not know Python if the error is one that is bound to happen to somebody."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    if isinstance(error, (OSError, ValueError)):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _fail(message: str) -> NoReturn:
    if sys.stderr is not None:
        sys.stderr.write(f"error: {' '.join(message.split())}\n")
    sys.exit(_FAILURE)
