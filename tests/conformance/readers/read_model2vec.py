"""model2vec, every version."""

from model2vec import StaticModel
from serving import serve

serve(lambda folder, texts: StaticModel.from_pretrained(folder).encode(texts))
