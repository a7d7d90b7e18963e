"""The tokeniser core of BERT's pipeline: BertNormalizer, BertPreTokenizer and WordPiece in one pass."""
