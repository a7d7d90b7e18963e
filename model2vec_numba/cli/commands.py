"""The commands: their arguments and options, and what each does with them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from model2vec_numba.cli.formats import Block, find_format
from model2vec_numba.cli.output import is_standard_output, open_output
from model2vec_numba.cli.progress import progress
from model2vec_numba.cli.texts import checked, read_texts

if TYPE_CHECKING:
    from model2vec_numba.model import StaticModel

__all__ = ["cli"]

Command = TypeVar("Command", bound=Callable[..., object])

# Texts that are encoded and written at a time: enough to keep all cores busy, few enough for a bar that moves and for bounded memory.
_BLOCK = 4096

_HUB_OPTIONS = (
    click.option("--subfolder", metavar="PATH", help="The folder inside the model's folder or repository that holds the model."),
    click.option("--revision", metavar="NAME", help="The Hub repository's branch, tag or commit."),
    click.option("--token", metavar="TOKEN", help="The Hub's access token; without: HF_TOKEN, else the one that is logged in."),
    click.option("--cache-dir", metavar="FOLDER", help="The Hub's cache folder."),
    click.option("--local-files-only", is_flag=True, help="Never ask the network."),
    click.option("--force-download", is_flag=True, help="Fetch from the Hub even what is cached."),
    click.option("-q", "--quiet", is_flag=True, help="No progress bar."),
)


def _checked_max_length(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | str | None:
    """The number that `--max-length` gives, or its "none", or ``None`` if it is not given."""
    if value is None or value == "none":
        return value
    if not value.isdecimal() or int(value) < 1:
        raise click.BadParameter(f"{value!r} is neither an integer of 1 or more nor none")
    return int(value)


def _checked_output(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """The target of `--output`, which must have a format."""
    try:
        find_format(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return value


_MODEL_OPTION = click.option(
    "-m", "--model", metavar="MODEL", help="A folder, or the name of a Hugging Face Hub repository; without: the bundled model."
)
_OUTPUT_OPTION = click.option(
    "-o",
    "--output",
    metavar="OUT",
    default="-",
    callback=_checked_output,
    help="The file to write; its suffix is the format: .npy, .safetensors, .json or .jsonl. Without, or -: JSON on standard output.",
)
_LENGTH_OPTIONS = (
    click.option("--max-length", metavar="N|none", callback=_checked_max_length, help="Tokens of a text that count; without: the model's."),
    click.option("--normalize/--no-normalize", default=None, help="Whether vectors get length 1; without: the model's."),
)


def _options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """All of the options as one decorator, in `--help` in the order given."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="model2vec-numba")
def cli() -> None:
    """Embed texts with Model2Vec static embedding models."""


@cli.command()
@click.argument("inputs", metavar="TEXT-OR-FILE...", nargs=-1)
@_options(_MODEL_OPTION, _OUTPUT_OPTION, *_LENGTH_OPTIONS)
@click.option("--batch-size", type=click.IntRange(min=1), default=1024, show_default=True, help="Texts to work on at a time.")
@_options(*_HUB_OPTIONS)
def encode(inputs: Sequence[str], output: str, batch_size: int, quiet: bool, **model_options: Any) -> None:
    """Write the vectors of texts, one for each text, in order.

    An argument that is the path of an existing file is a file of texts, one on each line, in UTF-8; - is the same from standard input; any
    other argument is itself a text. Blank lines count: the n-th vector is that of the n-th line (a text without tokens has the zero
    vector). Without arguments the texts come from standard input, unless that is a terminal.

    \b
    OUT gets, by its suffix,
      .npy          a float32 array of shape (texts, dimensions)
      .safetensors  the same, as one tensor named "embeddings"
      .json         a list of lists of numbers
      .jsonl        {"text": …, "embedding": […]}, one on each line

    Numbers in JSON read back to the very float32 that was computed. A file appears under its name when it is complete, not before.

    Exit code: 0; 1 for a failure; 2 for a mistake in the arguments; 130 after Ctrl-C; 141 when the reader of a pipe went away.
    """
    if not inputs and (sys.stdin is None or sys.stdin.isatty()):
        raise click.UsageError("nothing to encode: give texts or files, or pipe texts to standard input")
    write = find_format(output)
    # The output is opened first, so that one that cannot be written does not show after an hour's work.
    with open_output(output) as file:
        texts = read_texts(inputs or ("-",))
        model = _load(quiet=quiet, **model_options)
        on_screen = is_standard_output(output) and sys.stdout.isatty()
        with progress(len(texts), show=not quiet and not on_screen) as advance:
            write(file, (len(texts), model.dim), _blocks(model, texts, batch_size, advance))


@cli.command()
@click.argument("text")
@_options(_MODEL_OPTION, _OUTPUT_OPTION, *_LENGTH_OPTIONS, *_HUB_OPTIONS)
def encode_single(text: str, output: str, **model_options: Any) -> None:
    """Write the vector of one text.

    TEXT is always a text, never a file. OUT is as for encode, but holds one vector: a list of numbers, or an array of shape (dimensions,).
    """
    write = find_format(output)
    with open_output(output) as file:
        vector = _load(**model_options).encode(checked(text, "TEXT"))
        write(file, vector.shape, [([text], vector[None])])


@cli.command()
@click.argument("model", required=False)
@click.option("--json", "as_json", is_flag=True, help="A JSON object instead of lines.")
@_options(*_HUB_OPTIONS)
def info(model: str | None, as_json: bool, **model_options: Any) -> None:
    """Show what a model is made of.

    MODEL is a folder, or the name of a Hugging Face Hub repository; without: the bundled model.

    Bytes on disk are those of the model's three files, bytes in memory those of its vectors, weights and mapping as they are held.
    """
    loaded = _load(model, **model_options)
    from model2vec_numba.cli.info import describe, model_folder

    del model_options["quiet"]
    with open_output("-") as file:
        file.write(describe(loaded, model_folder(model, **model_options), as_json).encode())


def _load(model: str | None, *, quiet: bool, max_length: int | str | None = None, **arguments: Any) -> StaticModel:
    """The model, loaded with the options that commands share: named as `StaticModel.from_pretrained` names them."""
    if quiet:
        os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    from model2vec_numba import StaticModel

    if max_length is not None:
        arguments["max_length"] = None if max_length == "none" else max_length
    return StaticModel.from_pretrained(model, **arguments)


def _blocks(model: StaticModel, texts: list[str], batch_size: int, advance: Callable[[int], object]) -> Iterator[Block]:
    """Encode the texts a block at a time, when the next block is asked for."""
    for first in range(0, len(texts), _BLOCK):
        block = texts[first : first + _BLOCK]
        yield block, model.encode(block, batch_size=batch_size)
        advance(len(block))
