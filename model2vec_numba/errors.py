"""The exceptions of this package.

Catch `ModelError` for all problems with a model. Each of its subclasses is also the built-in exception that fits, such as `ValueError`.
"""

from __future__ import annotations

__all__ = ["ModelError", "ModelFormatError", "ModelNotFoundError", "TokenizationError"]


class ModelError(Exception):
    """A model cannot be loaded or used. The message names the file and says what was found and what was expected."""


class ModelNotFoundError(ModelError, FileNotFoundError):
    """A folder, a file or a Hub repository of a model does not exist or cannot be read. This is also an `OSError`."""

    def __str__(self) -> str:
        # OSError would build its text from errno and filename, which are not set.
        return str(self.args[0]) if self.args else ""


class ModelFormatError(ModelError, ValueError):
    """The content of a model's file is not valid. This is also a `ValueError`."""


class TokenizationError(ModelError, ValueError):
    """The tokenizer of the model cannot tokenise a text. For example, a character has no token and the model has no unknown token."""
