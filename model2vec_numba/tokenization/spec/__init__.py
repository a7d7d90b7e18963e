"""Read `tokenizer.json`."""
