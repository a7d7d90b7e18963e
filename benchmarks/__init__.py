"""Benchmarks: this package and its peers, on the same texts, in the same run, with one thread each.

Libraries read the number of their threads when they are loaded. This module is loaded before all of them, so it sets the number. It leaves the number
to the libraries only in the process that `comparisons.compare_on_all_cores` starts.
"""

from __future__ import annotations

import os
import sys

if "numpy" in sys.modules or "tokenizers" in sys.modules:
    raise RuntimeError("run the benchmarks in a process of their own: a library was loaded before its threads could be limited to one")
_LIMITS = ("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
if os.environ.get("MODEL2VEC_NUMBA_BENCHMARK") == "all cores":
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    for _name in _LIMITS:
        os.environ.pop(_name, None)
else:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    for _name in _LIMITS:
        os.environ[_name] = "1"
# Compiled code is measured, unless a benchmark chooses another road for a process of its own.
os.environ.setdefault("MODEL2VEC_NUMBA_COMPILE", "wait")
# No peer uses the network.
os.environ["HF_HUB_OFFLINE"] = "1"
