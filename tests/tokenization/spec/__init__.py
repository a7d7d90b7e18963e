"""Tests of the reader of `tokenizer.json`."""
