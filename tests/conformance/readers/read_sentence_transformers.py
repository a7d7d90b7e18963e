"""sentence-transformers, every version."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"

from sentence_transformers import SentenceTransformer
from serving import serve

serve(lambda folder, texts: SentenceTransformer(folder, device="cpu").encode(texts))
