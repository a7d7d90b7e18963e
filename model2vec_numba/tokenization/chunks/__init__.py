"""A cache from chunks of text, as they are, to token ids, in front of a tokeniser core."""
