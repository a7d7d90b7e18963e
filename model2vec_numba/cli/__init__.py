"""The console command `model2vec-numba`. It runs a command and exits with an exit code and at most one line of error.

Exit codes: 0 for success, 1 for a failure, 2 for wrong arguments, 130 after Ctrl-C, 143 after SIGTERM, and 141 if the reader of the output has
ended. Shells use the last three for programs that were ended by such a signal.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import Any, NoReturn

from model2vec_numba.tables.prefetch import STAGE_THREAD

__all__ = ["main"]

_PROGRAM = "model2vec-numba"
# Shells set this variable to ask for the script that completes words, and for the words. It has click's usual name.
_COMPLETE = "_MODEL2VEC_NUMBA_COMPLETE"

_FAILURE = 1
_SIGPIPE = 128 + 13
_SIGINT = 128 + 2
_SIGTERM = 128 + 15


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit.

    Args:
        arguments: the arguments, without the name of the program. ``None``: the arguments of the process.
    """
    try:
        import click

        from model2vec_numba.cli.commands import cli
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        _fail("the command line needs click: pip install 'model2vec-numba[cli]'")
    shell = os.environ.get(_COMPLETE)
    if shell and arguments is None:
        from click.shell_completion import shell_complete

        sys.exit(shell_complete(cli, {}, _PROGRAM, _COMPLETE, shell))
    _turn_signals_into_exceptions()
    # click's own `main` uses other exit codes and prints other messages.
    try:
        with (
            warnings.catch_warnings(),
            cli.make_context(_PROGRAM, list(sys.argv[1:] if arguments is None else arguments)) as context,
        ):
            warnings.showwarning = _show_warning
            cli.invoke(context)
    except click.exceptions.Exit as end:  # --help and --version
        sys.exit(end.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(_SIGPIPE)
    except KeyboardInterrupt as error:
        _show_notes(error)
        _leave(_SIGINT, own_process=arguments is None)
    except _Terminated as error:
        _show_notes(error)
        _leave(_SIGTERM, own_process=arguments is None)
    except Exception as error:
        if sys.flags.dev_mode:  # `python -X dev -m model2vec_numba ...` shows the traceback, for developers of this package
            raise
        _show_notes(error)
        _fail(_describe(error))
    sys.exit(0)


class _Terminated(BaseException):
    """SIGTERM was received."""


def _turn_signals_into_exceptions() -> None:
    """Make Ctrl-C and SIGTERM raise an exception, so that temporary files are removed.

    Only the first signal does so. A wrapper program may send a Ctrl-C again that the terminal already sent. A second exception, while threads are
    ending, would end Python before them, which aborts the process.
    """
    first: list[int] = []

    def end(number: int, _frame: object) -> None:
        # The handler stays: Python prints a traceback if a signal was received while its handler was replaced by SIG_IGN.
        if first:
            return
        first.append(_first_signal(number))
        raise KeyboardInterrupt if first[0] == signal.SIGINT else _Terminated

    # Signals that are ignored stay ignored. Shells start background processes that ignore Ctrl-C.
    caught = [name for name in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(name) != signal.SIG_IGN]
    _order_of_signals()
    for name in caught:
        signal.signal(name, end)


def _first_signal(number: int) -> int:
    """Return the number of the first signal that was received. Signal `number` is being handled.

    Python calls the handlers of signals that came together in the order of their numbers.
    """
    order = _order_of_signals()
    try:
        return number if order is None else os.read(order, 1)[0]
    except BlockingIOError:  # another library has taken the pipe's place
        return number


@cache
def _order_of_signals() -> int | None:
    """Return a pipe to which Python writes the number of each signal when it comes. ``None`` on Windows."""
    if os.name != "posix":
        return None
    order, other_end = os.pipe()
    for end in (order, other_end):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(other_end, warn_on_full_buffer=False)
    return order


def _leave(code: int, *, own_process: bool) -> NoReturn:
    """Exit after a signal. Files have been cleaned up, so this does not wait for threads that still compile or encode.

    If Python ended in the usual way, a second signal would end it with another exit code, and a thread that runs C++ code would abort it.
    """
    if own_process or any(thread.name == STAGE_THREAD for thread in threading.enumerate()):
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                with suppress(OSError, ValueError):
                    stream.flush()
        os._exit(code)
    sys.exit(code)


def _show_notes(error: BaseException) -> None:
    """Print the notes of an exception, such as the number of rows that are kept."""
    for note in getattr(error, "__notes__", ()):
        if sys.stderr is not None:
            sys.stderr.write(f"{note}\n")


def _describe(error: Exception) -> str:
    """Return a message about an error. For errors that users cause, it does not mention Python's exception types."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    if isinstance(error, (OSError, ValueError)):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """Print a warning on one line. Python would print a line of a program too, which users of the command line do not know."""
    if sys.stderr is not None:
        sys.stderr.write(f"warning: {' '.join(str(message).split())}\n")


def _fail(message: str) -> NoReturn:
    """Print an error on one line and exit with the code of a failure."""
    if sys.stderr is not None:
        sys.stderr.write(f"error: {' '.join(message.split())}\n")
    sys.exit(_FAILURE)
