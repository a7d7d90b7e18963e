"""All cases, in the order of the page about compatibility."""

from __future__ import annotations

from definitions import files, numbers, settings, storage, tokens, vocabularies
from definitions.form import Case

__all__ = ["CASES"]

CASES: tuple[Case, ...] = (*files.CASES, *storage.CASES, *settings.CASES, *tokens.CASES, *vocabularies.CASES, *numbers.CASES)
