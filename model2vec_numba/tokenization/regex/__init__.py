"""Regular expressions of the `tokenizers` library, compiled to deterministic automata that one kernel runs."""
