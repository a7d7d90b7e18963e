"""The exceptions of this package.

Catch `ModelError` for all problems with a model. Each of its subclasses is also the built-in exception that fits, such as `ValueError`.
"""

from __future__ import annotations

__all__ = ["ModelError", "ModelFormatError", "ModelNotFoundError", "TokenizationError", "shortened"]

# The maximum number of characters of another library's message that are shown. Some messages quote whole files.
_SHOWN = 300


class ModelError(Exception):
    """A model cannot be loaded or used. The message names the file and says what was found and what was expected."""


class ModelNotFoundError(ModelError, FileNotFoundError, ValueError):
    """A folder, a file or a Hub repository of a model does not exist or cannot be read.

    This is also an `OSError`, and a `ValueError`, which model2vec raises for a folder without a model.
    """

    def __str__(self) -> str:
        # OSError would build its text from errno and filename, which are not set.
        return str(self.args[0]) if self.args else ""


class ModelFormatError(ModelError, ValueError):
    """The content of a model's file is not valid. This is also a `ValueError`."""


class TokenizationError(ModelError, ValueError):
    """The tokenizer of the model cannot tokenise a text. For example, a character has no token and the model has no unknown token.

    Args:
        reason: the file of the tokenizer, and the library's error.
        text: the beginning of the text.
        position: the position of the text in its batch.

    Attributes:
        position: the position of the text among the texts of the call. ``None``: it is not known.
    """

    def __init__(self, reason: str, text: str = "", position: int | None = None) -> None:
        super().__init__(reason, text, position)
        self.position = position

    def __str__(self) -> str:
        reason, text, _ = self.args
        name = "a text" if self.position is None else f"sentences[{self.position}]"
        return f"{name} cannot be tokenised: {text!r}: {reason}"

    def move(self, first: int | None) -> None:
        """Add the position of the first text of the batch to `position`. ``None``: that position is not known."""
        self.position = None if first is None or self.position is None else first + self.position


def shortened(error: BaseException) -> str:
    """Return the message of another library's error on one line, without its end if it is very long."""
    text = " ".join(str(error).split())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
