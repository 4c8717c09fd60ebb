"""From the corpus to weights: `python -m models.training.train`. Needs the extra `[train]`."""
