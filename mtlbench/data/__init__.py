"""Datasets: files on disk to `Batch`. Knows nothing of models, means or attacks."""
