"""Run the command line with ``python -m model2vec_numba``."""

from __future__ import annotations

from model2vec_numba.cli import main

if __name__ == "__main__":
    main()
