"""Describe the machine and the packages that were measured."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

__all__ = ["describe_machine"]

_PACKAGES = ("model2vec-numba", "model2vec", "numba", "numpy", "tokenizers")


def describe_machine() -> str:
    """Return the processor, its cores, the system, and the versions of Python and of the relevant packages, in words."""
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return f"{_processor()}, {os.cpu_count()} cores, {platform.system()}; Python {platform.python_version()}, {packages}."


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
