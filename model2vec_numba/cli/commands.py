"""The commands: their arguments and options, and what each does with them."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from model2vec_numba.cli.formats import Block, find_format
from model2vec_numba.cli.output import is_standard_output, is_stream, open_output
from model2vec_numba.cli.progress import progress
from model2vec_numba.cli.sinks import find_sink
from model2vec_numba.cli.streaming import Columns, Input, encode_tables
from model2vec_numba.cli.tables import FORMATS, STANDARD_INPUT, TEXT_COLUMN, format_of
from model2vec_numba.cli.texts import checked, read_texts
from model2vec_numba.storage import INT8_SCALES, STORAGE_DTYPES, Int8Scales

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
    """The target of `--output`, which must have a format of vectors alone."""
    try:
        find_format(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return value


def _checked_output_of_any_kind(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """The target of `--output`, which must have a format, of tables or of vectors alone."""
    return value if find_sink(value) else _checked_output(context, parameter, value)


def _names(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """The names between commas."""
    return None if value is None else tuple(dict.fromkeys(name for name in value.split(",") if name))


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


_TABLE_OPTIONS = (
    click.option("--column", metavar="NAME", help=f"The column of texts; without: {TEXT_COLUMN}."),
    click.option("--keep", metavar="NAMES", callback=_names, help='The columns to copy, with commas between; "" for none. Without: all.'),
    click.option("--vectors", metavar="NAME", default="embedding", show_default=True, help="The column to write vectors to."),
    click.option("--format", "kind", type=click.Choice(FORMATS), help="The format of the input; without: by a file's suffix, else lines."),
    click.option("--dtype", type=click.Choice(["float32", "float16"]), default="float32", show_default=True, help="The type of a table's vectors."),
    click.option("--resume", is_flag=True, help="Go on with what an interrupted run of the same command has left."),
)


@cli.command()
@click.argument("inputs", metavar="TEXT-OR-FILE...", nargs=-1)
@_options(
    _MODEL_OPTION,
    click.option(
        "-o",
        "--output",
        metavar="OUT",
        default="-",
        callback=_checked_output_of_any_kind,
        help="The file to write; its suffix is the format. Without, or -: JSON on standard output.",
    ),
    *_LENGTH_OPTIONS,
)
@click.option("--batch-size", type=click.IntRange(min=1), default=1024, show_default=True, help="Texts to work on at a time.")
@_options(*_TABLE_OPTIONS, *_HUB_OPTIONS)
def encode(
    inputs: Sequence[str],
    output: str,
    batch_size: int,
    quiet: bool,
    column: str | None,
    keep: tuple[str, ...] | None,
    vectors: str,
    kind: str | None,
    dtype: str,
    resume: bool,
    **model_options: Any,
) -> None:
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

    TABLES. A file whose suffix is .parquet, .csv, .jsonl, .ndjson, .arrow, .feather or .ipc is a table with a column of texts, and so is
    anything with --format; a pattern such as "data/*.parquet" stands for all files that match, in the order of their names. Then OUT is a
    .parquet, .csv, .jsonl, .arrow, .feather or .ipc file (standard output: JSON lines) with the other columns and one of vectors, null
    where the text is. Tables are read, encoded and written at the same time, with no more of them in memory than a few batches. Values of
    CSV stay the texts that they are. A run that is interrupted keeps its parts for --resume. All this needs pyarrow: pip install
    'model2vec-numba[arrow]'.

    Exit code: 0; 1 for a failure; 2 for a mistake in the arguments; 130 after Ctrl-C; 141 when the reader of a pipe went away.
    """
    if not inputs and (sys.stdin is None or sys.stdin.isatty()):
        raise click.UsageError("nothing to encode: give texts or files, or pipe texts to standard input")
    given = [found for argument in inputs or (STANDARD_INPUT,) for found in _find_inputs(argument, kind)]
    of_tables = column is not None or keep is not None or resume or any(found.kind in {*FORMATS} - {"lines"} for found in given)
    if of_tables or not _is_format_of_vectors(output):
        _encode_tables(
            given,
            output,
            Columns(column or TEXT_COLUMN, keep, vectors),
            model_options,
            batch_size=batch_size,
            dtype=dtype,
            resume=resume,
            quiet=quiet,
        )
        return
    write = find_format(output)
    # The output is opened first, so that one that cannot be written does not show after an hour's work.
    with open_output(output) as file:
        texts = read_texts(inputs or (STANDARD_INPUT,))
        model = _load(quiet=quiet, **model_options)
        on_screen = is_standard_output(output) and sys.stdout.isatty()
        with progress(len(texts), show=not quiet and not on_screen) as advance:
            write(file, (len(texts), model.dim), _blocks(model, texts, batch_size, advance))


def _encode_tables(given: Sequence[Input], output: str, columns: Columns, model_options: dict[str, Any], *, quiet: bool, **options: Any) -> None:
    from model2vec_numba.extras import require

    if not is_stream(output) and find_sink(output) is None:
        raise click.UsageError(f"{output}: a table of vectors is written to a .parquet, .csv, .jsonl or .arrow file")
    if options["resume"] and (is_stream(output) or any(found.name == STANDARD_INPUT for found in given)):
        raise click.UsageError("--resume needs files to read and a file to write")
    require("pyarrow", "reading and writing tables", "arrow")
    encode_tables(given, output, columns, lambda: _load(quiet=quiet, **model_options), quiet=quiet, **options)


def _is_format_of_vectors(target: str) -> bool:
    """Whether an output is one of those that hold vectors, or vectors and texts, and so need no pyarrow."""
    try:
        find_format(target)
    except ValueError:
        return False
    return True


def _find_inputs(argument: str, kind: str | None) -> list[Input]:
    """What an argument of `encode` stands for."""
    if argument == STANDARD_INPUT:
        return [Input(argument, kind or "lines")]
    by_suffix = format_of(argument)
    if os.path.exists(argument):  # noqa: PTH110 - Path.exists raises where a text is too long for a path (CPython < 3.12)
        return [Input(argument, kind or by_suffix or "lines")]
    if by_suffix is not None and glob.has_magic(argument):
        found = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207 - the names as they were given, absolute or not
        if found:
            return [Input(name, kind or by_suffix) for name in found]
    # A table's name is no likely text, unless it ends one of several words.
    if kind is not None or (by_suffix is not None and len(argument.split()) == 1):
        raise click.UsageError(f"{argument}: no such file")
    return [Input(argument, None)]


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


@cli.command()
@click.argument("model", required=False)
@click.option("-o", "--output", "folder", metavar="FOLDER", required=True, help="The folder to save to. What it has of a model is replaced.")
@click.option("--dtype", type=click.Choice(STORAGE_DTYPES), help="The type to store the vectors in; without: as it is.")
@click.option("--dims", type=click.IntRange(min=1), help="The number of dimensions to keep, the first ones.")
@click.option("--vocabulary", type=click.IntRange(min=1), help="The number of vectors that the tokens share, found by k-means (needs scikit-learn).")
@click.option(
    "--int8-scales", type=click.Choice(INT8_SCALES), default="matrix", show_default=True, help="One scale for all int8 values, or one a row."
)
@_options(*_HUB_OPTIONS)
def convert(
    model: str | None,
    folder: str,
    dtype: str | None,
    dims: int | None,
    vocabulary: int | None,
    int8_scales: Int8Scales,
    quiet: bool,
    **model_options: Any,
) -> None:
    """Make a model smaller, and show what that costs.

    MODEL is a folder, or the name of a Hugging Face Hub repository; without: the bundled model. The result has Model2Vec's layout, which
    model2vec and sentence-transformers read too, but for bfloat16, which model2vec knows only where ml_dtypes is imported.

    The cosines are those between the vectors of the two models for some hundred texts in thirty languages. One scale a row is the more exact
    form of int8; one for all has the integers that model2vec has.
    """
    loaded = _load(model, quiet=quiet, **model_options)
    from model2vec_numba.cli.convert import compare
    from model2vec_numba.cli.info import file_sizes, model_folder
    from model2vec_numba.model import StaticModel, quantize_model

    show = not quiet and vocabulary is not None and sys.stderr is not None and sys.stderr.isatty()
    smaller = quantize_model(loaded, vocabulary, dtype, dims, int8_scales=int8_scales, show_progress_bar=show)
    # Before the files can be replaced, if the folder is the same.
    sizes = file_sizes(model_folder(model, **model_options))
    target = Path(folder).expanduser()
    smaller.save_pretrained(target)
    with open_output("-") as file:
        file.write(compare(loaded, sizes, StaticModel.from_pretrained(target), file_sizes(target)).encode())


@cli.command()
@click.argument("files", metavar="FILE...", nargs=-1, type=click.Path(exists=True, dir_okay=False))
@click.option("--seconds", type=click.FloatRange(0, 3600, min_open=True), default=5.0, show_default=True, help="How long to time, about.")
@_options(_MODEL_OPTION, *_HUB_OPTIONS)
def bench(files: Sequence[str], seconds: float, model: str | None, **options: Any) -> None:
    """Show how fast this installation encodes, beside model2vec if that is installed.

    FILE is text in UTF-8, one text on each line; without, paragraphs of Python's documentation are encoded. This is a quick look: the repository
    has the whole benchmark suite.
    """
    loaded = _load(model, **options)
    from model2vec_numba.cli.bench import bench as lines
    from model2vec_numba.cli.info import model_folder

    del options["quiet"]
    with open_output("-") as file:
        for line in lines(loaded, model_folder(model, **options), list(files), seconds):
            file.write(line.encode())


@cli.command()
def warmup() -> None:
    """Compile everything now, so that no later process has to.

    For the image of a container, or before many processes start. The machine code is kept where numba keeps it: in NUMBA_CACHE_DIR, else
    beside this package's files, else in the user's cache folder. It is for this kind of processor and this version of numba and of this
    package.
    """
    # Kernels that run in several threads are compiled for machines that have them, though this one may not.
    os.environ.setdefault("NUMBA_NUM_THREADS", str(max(2, os.cpu_count() or 1)))
    from model2vec_numba.warmup import warmup as warm

    warmed = warm()
    lines = [f"{folder}: {warmed.written.get(folder, 0)} files written, {warmed.found.get(folder, 0)} found" for folder in warmed.folders]
    lines.append(f"in all: {sum(warmed.written.values())} files written ({warmed.size / 2**20:.1f} MiB), {sum(warmed.found.values())} found")
    with open_output("-") as file:
        file.write("".join(f"{line}\n" for line in lines).encode())


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
