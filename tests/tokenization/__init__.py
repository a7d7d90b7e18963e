"""Tests of the tokenisers. They compare compiled code with the `tokenizers` library: the ids must be equal for every text."""
