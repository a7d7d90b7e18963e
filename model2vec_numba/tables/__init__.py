"""Read tables, encode a column of texts, and write tables with a column of vectors."""
