"""Decode UTF-8, and keep tables of the answers of the `tokenizers` library for each code point."""
