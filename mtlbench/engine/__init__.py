"""Losses, training, attacks over a split, precision, timing. Knows no configuration, no score and no table."""
