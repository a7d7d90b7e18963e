"""fastembed. It knows static models by their names, and reads the files of `specific_model_path` instead of downloading that model."""

from fastembed import TextEmbedding
from serving import serve

serve(lambda folder, texts: TextEmbedding("minishlab/potion-base-8M", specific_model_path=folder).embed(texts))
