"""Make text batches from Python strings and from Arrow columns."""
