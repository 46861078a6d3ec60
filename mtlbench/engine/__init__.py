"""Losses, training, attacks over a split, precision, timing. Independent of configuration, scores and tables."""
