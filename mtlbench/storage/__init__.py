"""The contents of outputs/, which survive a crash: cells, checkpoints, claims, atomic writes. Needs no torch."""
