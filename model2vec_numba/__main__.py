"""``python -m model2vec_numba``: the command line."""

from __future__ import annotations

from model2vec_numba.cli import main

if __name__ == "__main__":
    main()
