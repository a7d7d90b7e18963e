"""Data structures that kernels search: hash tables, tries, and a cache from short texts to their token ids."""
