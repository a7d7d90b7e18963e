"""static-embed-runner."""

from serving import serve
from static_embed_runner import StaticEmbedRunner

serve(lambda folder, texts: StaticEmbedRunner.load(folder).encode(texts))
