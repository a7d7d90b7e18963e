"""Make an environment for each reader, and the command that starts it there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

__all__ = ["installed_versions", "make_environment", "reader_command"]

_READERS = Path(__file__).resolve().with_name("readers")
# The packages whose versions matter to a reader of models or of columns.
_NOTED = ("tokenizers", "safetensors", "numpy", "torch", "transformers")


def make_environment(folder: Path, packages: Sequence[str]) -> Path:
    """Make a virtual environment with some packages, or return that of an earlier run. The result is the path of its Python."""
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    note = folder / "packages.json"
    if note.is_file() and json.loads(note.read_text(encoding="utf-8")) == list(packages):
        return python
    uv = _find_uv()
    if uv:
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), *packages], check=True)
    else:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=True)
    note.write_text(json.dumps(list(packages)), encoding="utf-8")
    return python


def _find_uv() -> str | None:
    """Return the path of uv, which installs faster than pip."""
    try:
        import uv
    except ImportError:
        return shutil.which("uv")
    return str(uv.find_uv_bin())


def reader_command(reader: Mapping[str, Any], folder: Path) -> tuple[list[str], dict[str, str]]:
    """Return the command of an entry of `readers.json`, and the versions of what it uses. Its environment is made in `folder`, where it needs one.

    Raises:
        OSError, subprocess.CalledProcessError: the reader cannot be installed here.
    """
    if "crate" in reader:
        executable, versions = _build_rust(folder / "rust")
        return [str(executable), reader["crate"]], versions
    place = folder / reader["name"].replace(" ", "-")
    python = make_environment(place, reader["packages"]) if "packages" in reader else Path(sys.executable)
    return [str(python), str(_READERS / reader["script"])], installed_versions(python, _NOTED)


def installed_versions(python: Path, names: Sequence[str]) -> dict[str, str]:
    """Return the versions of those packages that are installed in the environment of a Python."""
    code = (
        "import importlib.metadata as metadata, json, sys\n"
        "names = {item.metadata['Name'].lower(): item.version for item in metadata.distributions()}\n"
        "print(json.dumps({name: names[name] for name in sys.argv[1:] if name in names}))"
    )
    result = subprocess.run([str(python), "-c", code, *names], check=True, capture_output=True, text=True)
    versions: dict[str, str] = json.loads(result.stdout)
    return versions


def _build_rust(target: Path) -> tuple[Path, dict[str, str]]:
    """Build the program that calls the Rust crates. Return its path, and the versions of the crates that matter."""
    manifest = _READERS / "rust" / "Cargo.toml"
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target)}
    subprocess.run(["cargo", "build", "--release", "--quiet", "--manifest-path", str(manifest)], check=True, env=environment)
    lines = manifest.with_name("Cargo.lock").read_text(encoding="utf-8").splitlines()
    versions = [version[11:-1] for name, version in pairwise(lines) if name == 'name = "tokenizers"']
    return target / "release" / "conformance-readers", {"tokenizers": " and ".join(versions)}
