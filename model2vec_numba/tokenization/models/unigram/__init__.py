"""Unigram (SentencePiece)."""
