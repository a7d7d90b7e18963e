"""Tokenise: from the bytes of a batch of texts to the ids of its tokens."""
