"""Vectors after pooling: the forms in which they are written, similarity and search."""
