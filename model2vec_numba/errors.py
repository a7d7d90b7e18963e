"""The exceptions of this package.

A caller who wants to catch "this model cannot be used" catches `ModelError`; each of its kinds is also the built-in exception that a caller
who knows nothing of this package would try.
"""

from __future__ import annotations

__all__ = ["ModelError", "ModelFormatError", "ModelNotFoundError", "TokenizationError"]


class ModelError(Exception):
    """A model cannot be loaded or used. The message names the file and says what was found and what was expected."""


class ModelNotFoundError(ModelError, FileNotFoundError):
    """A folder, a file or a Hub repository of a model is missing or cannot be reached (also an `OSError`)."""

    def __str__(self) -> str:
        # OSError formats itself from errno and filename; here the message is the whole story.
        return str(self.args[0]) if self.args else ""


class ModelFormatError(ModelError, ValueError):
    """A model's file was read, and what it holds is not a model that can be used (also a `ValueError`)."""


class TokenizationError(ModelError, ValueError):
    """The model's own tokenizer refuses a text, such as one with a character that has no token in a model without an unknown token."""
