"""The commands of the command line, with their arguments and options."""

from __future__ import annotations

import errno
import io
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from model2vec_numba.dtypes import INT8_SCALES, STORAGE_DTYPES, Int8Scales
from model2vec_numba.extras import OLDEST_FOR_TABLES, require
from model2vec_numba.files.output import is_standard_output, is_stream, open_output
from model2vec_numba.progress import NO_BAR, ProgressBar, can_show_bar, is_terminal, terminal_progress_bar, waiting
from model2vec_numba.starting.mode import VARIABLE, Mode
from model2vec_numba.tables.finding import find_inputs
from model2vec_numba.tables.lines import check_utf8, read_texts
from model2vec_numba.tables.parquet import COMPRESSIONS
from model2vec_numba.tables.sources import FORMATS, STANDARD_INPUT, TEXT_COLUMN, Input, format_of
from model2vec_numba.tables.vector_files import Block, find_format
from model2vec_numba.tables.writers import TABLE_SUFFIXES, find_writer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from model2vec_numba.model import StaticModel

__all__ = ["cli"]

Command = TypeVar("Command", bound=Callable[..., object])

# As in `vectors.form`, which needs NumPy.
_PRECISIONS = ("float32", "float16", "int8", "uint8", "binary", "ubinary")
# The number of texts that are encoded and written at a time. This keeps all cores busy, and the progress bar moves often.
_BLOCK = 4096


def _files(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete the path of a file."""
    return [CompletionItem(incomplete, type="file")]


def _folders(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete the path of a folder."""
    return [CompletionItem(incomplete, type="dir")]


_HUB_OPTIONS = (
    click.option("--subfolder", metavar="PATH", help="The subfolder that holds the model, in the folder or repository."),
    click.option("--revision", metavar="NAME", help="The branch, tag or commit of the Hub repository."),
    click.option("--token", metavar="TOKEN", help="The access token for the Hub. Default: HF_TOKEN, or the token of your login."),
    click.option("--cache-dir", metavar="FOLDER", shell_complete=_folders, help="The cache folder of the Hub."),
    click.option("--local-files-only", is_flag=True, help="Never use the network."),
    click.option("--force-download", is_flag=True, help="Download files from the Hub even if they are in the cache."),
    click.option("-q", "--quiet", is_flag=True, help="Show no progress, and say nothing about files that are replaced."),
)


def _checked_max_length(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | str | None:
    """Return the number given as `--max-length`, or ``"none"``, or ``None`` if the option is not given."""
    if value is None or value == "none":
        return value
    if not value.isdecimal() or int(value) < 1:
        raise click.BadParameter(f"expected an integer of 1 or more, or none, not {value!r}")
    return int(value)


def _checked_output(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """Return the target of `--output`. It must be a file that holds only vectors."""
    try:
        find_format(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return value


def _checked_table_or_vector_output(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Return the target of `--output`. It must be a table file or a file that holds only vectors."""
    if find_writer(value):
        return value
    try:
        return _checked_output(context, parameter, value)
    except click.BadParameter as error:
        raise click.BadParameter(f"{error.message}, or for tables one of {', '.join(TABLE_SUFFIXES)}") from None


def _split_names(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """Return the different names in a list that is separated by commas."""
    return None if value is None else tuple(dict.fromkeys(name for name in value.split(",") if name))


def _read_ranges(_context: click.Context, _parameter: click.Parameter, value: str | None) -> NDArray[Any] | None:
    """Return the array in the file given as `--ranges`."""
    if value is None:
        return None
    import numpy as np

    try:
        return np.lib.format.read_array(io.BytesIO(Path(value).read_bytes()), allow_pickle=False)
    except OSError as error:
        raise click.BadParameter(f"{value}: {error.strerror}") from None
    except ValueError as error:
        raise click.BadParameter(f"{value}: expected a .npy file: {error}") from None


_MODEL_OPTION = click.option(
    "-m",
    "--model",
    metavar="MODEL",
    shell_complete=_folders,
    help="A folder, or the name of a Hugging Face Hub repository. Default: the bundled model.",
)
_OUTPUT_OPTION = click.option(
    "-o",
    "--output",
    metavar="OUT",
    default="-",
    callback=_checked_output,
    shell_complete=_files,
    help="The file to write: .npy, .safetensors, .json or .jsonl. Default, and for -: JSON on standard output.",
)
_VECTOR_OPTIONS = (
    click.option(
        "--max-length",
        metavar="N|none",
        callback=_checked_max_length,
        help="Use only the first N tokens of a text, or all of them (none). Default: as in the model.",
    ),
    click.option("--normalize/--no-normalize", default=None, help="Whether to scale each vector to length 1. Default: as in the model."),
    click.option(
        "--dimensionality",
        metavar="N",
        type=click.IntRange(min=1),
        help="Keep the first N dimensions, and normalise after that. Default: all of them.",
    ),
    click.option(
        "--precision",
        type=click.Choice(_PRECISIONS),
        default="float32",
        show_default=True,
        help="The type of the numbers of the vectors. binary and ubinary have a bit for each dimension.",
    ),
    click.option(
        "--ranges",
        metavar="FILE",
        callback=_read_ranges,
        shell_complete=_files,
        help="For int8 and uint8: a .npy file of shape (2, dimensions) with the minimum and the maximum of each dimension.",
    ),
)
_THREADS_OPTION = click.option("--num-threads", metavar="N", type=click.IntRange(min=1), help="The maximum number of threads. Default: all cores.")


def _options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return a decorator that adds all options. `--help` shows them in this order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="model2vec-numba")
def cli() -> None:
    """Turn texts into vectors with Model2Vec static embedding models."""


_TABLE_OPTIONS = (
    click.option("--column", metavar="NAME", help=f"The column of texts. Default: {TEXT_COLUMN}."),
    click.option("--keep", metavar="NAMES", callback=_split_names, help='The columns to copy, separated by commas. "" for none. Default: all.'),
    click.option("--vectors", metavar="NAME", default="embedding", show_default=True, help="The name of the new column of vectors."),
    click.option("--format", "kind", type=click.Choice(FORMATS), help="The format of the input. Default: by the suffix of the file, else lines."),
    click.option(
        "--compression", type=click.Choice(COMPRESSIONS), help="How a .parquet file's columns are compressed, except the vectors. Default: zstd."
    ),
    click.option("--resume", is_flag=True, help="Continue an interrupted run of the same command."),
    click.option(
        "--overwrite/--no-overwrite",
        default=None,
        help="Drop the rows that an interrupted run has left, or refuse to replace a file. Default: files are replaced, rows are not dropped.",
    ),
)


@cli.command()
@click.argument("inputs", metavar="[TEXT-OR-FILE]...", nargs=-1, shell_complete=_files)
@_options(
    _MODEL_OPTION,
    click.option(
        "-o",
        "--output",
        metavar="OUT",
        default="-",
        callback=_checked_table_or_vector_output,
        shell_complete=_files,
        help="The file to write. Its suffix decides the format. Default, and for -: JSON on standard output.",
    ),
    *_VECTOR_OPTIONS,
    _THREADS_OPTION,
)
@click.option(
    "--batch-size", metavar="N", type=click.IntRange(min=1), default=1024, show_default=True, help="The number of texts to encode at a time."
)
@click.option("--text", "as_texts", is_flag=True, help="Each argument is a text, even if it looks like a path or a file has its name.")
@_options(*_TABLE_OPTIONS, *_HUB_OPTIONS)
def encode(
    inputs: Sequence[str],
    as_texts: bool,
    output: str,
    quiet: bool,
    column: str | None,
    keep: tuple[str, ...] | None,
    vectors: str,
    kind: str | None,
    compression: str | None,
    resume: bool,
    overwrite: bool | None,
    **options: Any,
) -> None:
    """Write one vector for each text, in the order of the texts.

    An argument that is the path of an existing file means the lines of this file, in UTF-8. The argument - means the lines of standard input. Any
    other argument is a text. A word that looks like a path, because it has a slash or a suffix, is an error if there is no such file. With --text,
    every argument is a text. A blank line is a text too, with a zero vector. Without arguments, the texts are read from standard input, unless it
    is a terminal. A .json file that is an array of strings holds texts too.

    \b
    The suffix of OUT decides what is written:
      .npy          an array of shape (texts, dimensions)
      .safetensors  the same array as a tensor with the name "embeddings"
      .json         a list of lists of numbers
      .jsonl        {"text": ..., "embedding": [...]} on each line

    Numbers in JSON read back to exactly the same float32. The file appears under its name when it is complete. Then it replaces a file of this name.

    int8 and uint8 need --ranges, the same for all texts that will be compared. Compute them once, from some thousand typical texts:

    \b
      model2vec-numba encode sample.txt -o sample.npy
      python -c "import numpy as np, model2vec_numba as m; np.save('ranges.npy', m.quantization_ranges(np.load('sample.npy')))"

    TABLES. A file with the suffix .parquet, .csv, .tsv, .jsonl, .ndjson, .json, .arrow, .feather or .ipc is a table with a column of texts. The
    option --format says the format of all inputs. Text may be compressed: .csv.gz, .jsonl.zst, .txt.gz. A pattern such as "data/*.parquet" means all
    files that match, and a folder means all tables in it, in the order of their names. Then OUT is a .parquet, .csv, .jsonl, .arrow, .feather or
    .ipc file. It has the columns of the input and a column of vectors. A null text gets a null vector. Standard output gets JSON lines. Tables are
    read, encoded and written at the same time, with only a few batches in memory. CSV values are copied as text. If a run is interrupted, the
    finished rows are kept for --resume. A run with neither --resume nor --overwrite is then refused. In Python, encode_table does the same. Tables
    need pyarrow: pip install 'model2vec-numba[arrow]'.

    Exit codes: 0 for success, 1 for a failure, 2 for wrong arguments, 130 after Ctrl-C, 143 after SIGTERM, 141 if the reader of a
    pipe has ended.
    """
    if not inputs and (sys.stdin is None or sys.stdin.isatty()):
        raise click.UsageError("nothing to encode: give texts or files, or pipe texts to standard input")
    if as_texts:
        if kind is not None or not inputs:
            raise click.UsageError("--text needs texts as arguments, and takes no --format")
        given = [Input(argument, None) for argument in inputs]
    else:
        given = [found for argument in inputs or (STANDARD_INPUT,) for found in _find_inputs(argument, kind)]
    if column is not None and kind is None:
        _check_tables(given)
    needs_tables = column is not None or keep is not None or resume or any(found.holds_columns for found in given)
    shown = not quiet and not (is_standard_output(output) and is_terminal(sys.stdout))  # a progress bar would disturb the output
    settings = {name: options.pop(name) for name in ("batch_size", "num_threads", "dimensionality", "precision", "ranges")}
    _check_ranges(settings["precision"], settings["ranges"])
    load = partial(_load, quiet=quiet, **options)
    if needs_tables or not _is_vector_file(output):
        if not is_stream(output) and find_writer(output) is None:
            raise click.UsageError(f"{output}: tables can only be written to a .parquet, .csv, .jsonl or .arrow file")
        if resume and (is_stream(output) or any(found.name == STANDARD_INPUT for found in given)):
            raise click.UsageError("--resume needs files as input and a file as output")
        require("pyarrow", "reading and writing tables", "arrow", OLDEST_FOR_TABLES)
        from model2vec_numba.tables.encode_table import encode_table

        _say_replaced(output, overwrite, quiet)
        encode_table(
            given,
            column or TEXT_COLUMN,
            output,
            model=load,
            keep=keep,
            vectors=vectors,
            resume=resume,
            overwrite=overwrite,
            compression=compression,
            show_progress_bar=shown and can_show_bar(),
            **settings,
        )
    elif compression is not None:
        raise click.UsageError(f"{output}: --compression is for .parquet files")
    else:
        _say_replaced(output, overwrite, quiet)
        _write_vectors(given, output, load, settings, shown=shown)


def _write_vectors(inputs: Sequence[Input], output: str, load: Callable[[], StaticModel], settings: Mapping[str, Any], *, shown: bool) -> None:
    """Write the vectors of texts to a file that holds only vectors, or to standard output. `shown`: whether to show the progress."""
    write = find_format(output)
    # The output is opened first, so that an output that cannot be written is reported before the work.
    with open_output(output) as file:
        with waiting("reading the texts", show=shown):
            texts = read_texts(inputs)
        with waiting("loading the model", show=shown):
            model = load()
        with terminal_progress_bar(len(texts), show=shown) as bar:
            blocks = _encode_blocks(model, texts, settings, bar)
            first = next(blocks)
            write(file, first[1].dtype, (len(texts), first[1].shape[1]), chain([first], blocks))


def _check_ranges(precision: str, ranges: NDArray[Any] | None) -> None:
    """Raise an error if a type needs ranges that are not given, before the work begins."""
    if ranges is None and precision in {"int8", "uint8"}:
        raise click.UsageError(f"--precision {precision} needs --ranges FILE: model2vec-numba encode --help says how to make it")


def _say_replaced(output: str, overwrite: bool | None, quiet: bool) -> None:
    """Say on standard error that a file will be replaced, or refuse it."""
    if is_stream(output) or not Path(output).is_file():
        return
    if overwrite is False:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), output)
    if overwrite is None and not quiet:
        click.echo(f"{output} exists. It is replaced when the new file is complete", err=True)


def _is_vector_file(target: str) -> bool:
    """Return whether an output has a format that holds only vectors. Such a format needs no pyarrow."""
    try:
        find_format(target)
    except ValueError:
        return False
    return True


def _check_tables(inputs: Sequence[Input]) -> None:
    """Raise an error if an input is not a table, because `--column` was given."""
    for given in inputs:
        if given.kind is None:
            raise click.UsageError(f"{given.name}: --column needs a table, and this is a text")
        if not given.holds_columns:
            known = ", ".join(name for name in FORMATS if name != "lines")
            raise click.UsageError(f"{given.name}: --column needs a table, and this file is read as texts: give --format, one of {known}")


def _find_inputs(argument: str, kind: str | None) -> list[Input]:
    """Return the inputs that an argument of `encode` means."""
    # A text may have the signs of a pattern.
    may_be_pattern = kind is not None or format_of(argument) is not None or _looks_like_path(argument)
    if may_be_pattern or argument == STANDARD_INPUT or os.path.exists(argument):  # noqa: PTH110 - Path.exists raises if a text is too long for a path
        found = find_inputs(argument, kind)
        if found:
            return found
    if kind is not None or _looks_like_path(argument):
        raise click.UsageError(f"{argument}: no such file. To encode the argument itself, add --text")
    return [Input(argument, None)]


# A suffix has a letter, so that a number is a text.
_SUFFIX = re.compile(r".\.(?=[^.]*[A-Za-z])[A-Za-z0-9]{1,10}$")


def _looks_like_path(argument: str) -> bool:
    """Return whether an argument was probably meant to be a file: a word with a separator or a suffix, or anything in a folder that exists."""
    separators = [separator for separator in (os.sep, os.altsep) if separator]
    if len(argument.split()) == 1:
        return argument.startswith("~") or any(separator in argument for separator in separators) or bool(_SUFFIX.search(argument))
    folder, name = os.path.split(argument)
    return bool(folder) and "\n" not in argument and bool(_SUFFIX.search(name)) and os.path.isdir(folder)  # noqa: PTH112 - as above


@cli.command()
@click.argument("text")
@_options(_MODEL_OPTION, _OUTPUT_OPTION, *_VECTOR_OPTIONS, *_HUB_OPTIONS)
def encode_single(text: str, output: str, quiet: bool, **options: Any) -> None:
    """Write the vector of one text.

    TEXT is always a text, never a file. OUT has the formats of encode, but holds one vector: a list of numbers, or an array of shape (dimensions,).
    """
    write = find_format(output)
    settings = {name: options.pop(name) for name in ("dimensionality", "precision", "ranges")}
    _check_ranges(settings["precision"], settings["ranges"])
    _say_replaced(output, None, quiet)
    with open_output(output) as file:
        vector = _load(quiet=quiet, **options).encode(check_utf8(text, "TEXT"), **settings)
        write(file, vector.dtype, vector.shape, [([text], vector[None])])


@cli.command()
@click.argument("model", required=False, shell_complete=_folders)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object instead of lines.")
@_options(*_HUB_OPTIONS)
def info(model: str | None, as_json: bool, **model_options: Any) -> None:
    """Show the properties of a model.

    MODEL is a folder, or the name of a Hugging Face Hub repository. Default: the bundled model.

    Bytes on disk is the size of the model's three files. Bytes in memory is the size of its vectors, weights and mapping.
    """
    loaded = _load(model, compiling="wait", **model_options)
    from model2vec_numba.cli.info import describe, model_folder

    del model_options["quiet"]
    with open_output("-") as file:
        file.write(describe(loaded, model_folder(model, **model_options), as_json).encode())


@cli.command()
@click.argument("model", required=False, shell_complete=_folders)
@click.option(
    "-o",
    "--output",
    "folder",
    metavar="FOLDER",
    required=True,
    shell_complete=_folders,
    help="The folder to save to. A model in it is replaced.",
)
@click.option("--quantize-to", type=click.Choice(STORAGE_DTYPES), help="The type to store the vectors in. Default: as in the model.")
@click.option("--dimensionality", metavar="N", type=click.IntRange(min=1), help="Keep the first N dimensions. Default: all of them.")
@click.option(
    "--vocabulary-quantization",
    metavar="N",
    type=click.IntRange(min=1),
    help="Let the tokens share N vectors, found by k-means (needs scikit-learn).",
)
@click.option(
    "--int8-scales",
    type=click.Choice(INT8_SCALES),
    default="matrix",
    show_default=True,
    help="For int8: one scale for the whole matrix, or one for each row.",
)
@_options(*_HUB_OPTIONS)
def convert(
    model: str | None,
    folder: str,
    quantize_to: str | None,
    dimensionality: int | None,
    vocabulary_quantization: int | None,
    int8_scales: Int8Scales,
    quiet: bool,
    **model_options: Any,
) -> None:
    """Make a model smaller, and show how much its vectors change.

    MODEL is a folder, or the name of a Hugging Face Hub repository. Default: the bundled model. The result has Model2Vec's layout, which model2vec
    and sentence-transformers can read too. For bfloat16, model2vec needs ml_dtypes to be imported.

    The command prints the cosines between the vectors of the two models, for some hundred texts in thirty languages. With int8, one scale for each
    row is more exact. One scale for the matrix gives the same integers as model2vec.
    """
    target = Path(folder).expanduser()
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), folder)
    with waiting("loading the model", show=not quiet):
        loaded = _load(model, quiet=quiet, **model_options)
        from model2vec_numba.cli.convert import compare
        from model2vec_numba.cli.info import file_sizes, model_folder
        from model2vec_numba.files.layouts import find_layout
        from model2vec_numba.model import StaticModel
        from model2vec_numba.quantization.models import quantize_model

    if find_layout(target) is not None and not quiet:
        click.echo(f"{folder} holds a model. It is replaced when the new one is complete", err=True)
    show = not quiet and vocabulary_quantization is not None and can_show_bar()
    with waiting("converting", show=not quiet and not show):
        smaller = quantize_model(loaded, vocabulary_quantization, quantize_to, dimensionality, int8_scales=int8_scales, show_progress_bar=show)
    # The sizes are measured before saving, because the folder may be the same.
    sizes = file_sizes(model_folder(model, **model_options))
    with waiting("saving and comparing", show=not quiet):
        smaller.save_pretrained(target)
        report = compare(loaded, sizes, StaticModel.from_pretrained(target), file_sizes(target))
    with open_output("-") as file:
        file.write(report.encode())


@cli.command()
@click.argument("files", metavar="[FILE]...", nargs=-1, type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--seconds", metavar="N", type=click.FloatRange(0, 3600, min_open=True), default=5.0, show_default=True, help="About how long to measure."
)
@_options(_MODEL_OPTION, *_HUB_OPTIONS)
def bench(files: Sequence[str], seconds: float, model: str | None, **options: Any) -> None:
    """Measure how fast this installation encodes, and compare it with model2vec if that is installed.

    Each FILE is text in UTF-8, with one text on each line. Without files, paragraphs of Python's documentation are encoded. This is a quick check.
    The repository has the full benchmarks.
    """
    loaded = _load(model, compiling="wait", **options)
    from model2vec_numba.cli.bench import bench as lines
    from model2vec_numba.cli.info import model_folder

    del options["quiet"]
    with open_output("-") as file:
        for line in lines(loaded, model_folder(model, **options), list(files), seconds):
            file.write(line.encode())


@cli.command()
@_options(
    click.option(
        "-m",
        "--model",
        metavar="MODEL",
        shell_complete=_folders,
        help='Compile only what this model needs: a folder, the name of a Hub repository, or "default", the bundled model. Without it: everything.',
    ),
    *_HUB_OPTIONS,
)
def warmup(model: str | None, quiet: bool, **options: Any) -> None:
    """Compile all code now, so that later processes start faster.

    Use it in the image of a container, or before many processes start. The compiled code is stored where numba stores it: in NUMBA_CACHE_DIR, else
    next to the files of this package, else in the user's cache folder. It is valid for this kind of processor, this version of numba and this
    version of the package. All code takes one to five minutes, and the code for one model 10 to 60 seconds.
    """
    # Also compile the kernels that use several threads, even if this machine has one processor: the code may be used on another machine.
    os.environ.setdefault("NUMBA_NUM_THREADS", str(max(2, os.cpu_count() or 1)))
    with waiting("loading", show=not quiet):
        from model2vec_numba.jit.announcement import announcement
        from model2vec_numba.warmup import warmup as warm

        # Loading the model must not compile anything before the progress is shown.
        loaded = None if model is None else _load(None if model == "default" else model, quiet=quiet, compiling="never", **options)
    with terminal_progress_bar(None, show=not quiet, unit="steps") as bar:
        bar.describe("compiling")
        announcement.silent = bar is not NO_BAR
        warmed = warm(loaded, lambda steps: bar.advance(1, steps))
    lines = [f"{folder}: {warmed.written.get(folder, 0)} files written, {warmed.found.get(folder, 0)} found" for folder in warmed.folders]
    lines.append(f"in all: {sum(warmed.written.values())} files written ({warmed.size / 2**20:.1f} MiB), {sum(warmed.found.values())} found")
    with open_output("-") as file:
        file.write("".join(f"{line}\n" for line in lines).encode())


def _load(model: str | None, *, quiet: bool, max_length: int | str | None = None, compiling: Mode = "background", **arguments: Any) -> StaticModel:
    """Load a model with the options that the commands share. They have the names of the arguments of `StaticModel.from_pretrained`.

    `compiling` says when kernels are compiled, unless the environment says it.
    """
    # An empty variable means the same as none.
    os.environ[VARIABLE] = os.environ.get(VARIABLE, "").strip() or compiling
    if quiet:
        os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    from model2vec_numba import StaticModel

    if max_length is not None:
        arguments["max_length"] = None if max_length == "none" else max_length
    return StaticModel.from_pretrained(model, **arguments)


def _encode_blocks(model: StaticModel, texts: list[str], settings: Mapping[str, Any], bar: ProgressBar) -> Iterator[Block]:
    """Yield blocks of texts with their vectors, at least one. A block is encoded when it is asked for."""
    for first in range(0, max(1, len(texts)), _BLOCK):
        block = texts[first : first + _BLOCK]
        yield block, model.encode(block, **settings)
        bar.advance(len(block))
