"""laghu, without its fallback to model2vec. It uses laghu-rs if that is installed."""

import laghu
from serving import serve

serve(lambda folder, texts: laghu.load(folder, fallback=False).encode(texts))
