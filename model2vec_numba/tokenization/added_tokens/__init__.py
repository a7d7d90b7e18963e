"""Added tokens: read them from a `tokenizer.json`, find them in texts, cut texts at them, and put the ids together again."""
