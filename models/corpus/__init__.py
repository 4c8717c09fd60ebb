"""The training corpus, its codebook and its validator."""
