"""Compile one part of the package's kernels, so that two processes can fill the cache together: ``python compile_kernels.py PART``.

`warmup` in one process takes a minute on an idle machine. The two parts, "pooling" and "tokenization", take half a minute at once. They share
only the kernels that read Python strings, 2 seconds.
"""

from __future__ import annotations

import sys

from model2vec_numba import warmup


def main() -> None:
    """Compile the kernels of the part that the command line names."""
    for name, tokenizer in warmup._tokenizers().items():
        if sys.argv[1:] == ["pooling"] and name == "wordpiece":
            for dtype in warmup._STORAGE:
                for weights in (False, True):
                    model = warmup.small_model(tokenizer.to_str(), dtype, weights=weights)
                    warmup.use(model)
                    warmup.use_forms(model)
                    warmup.use_long_text(model)
        elif sys.argv[1:] == ["tokenization"] and name != "wordpiece":
            warmup.small_model(tokenizer.to_str(), "float32", weights=False).tokenize(warmup._TEXTS)


if __name__ == "__main__":
    main()
