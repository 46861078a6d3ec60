"""Datasets: files on disk to `Batch`. Independent of models, normalisation and attacks."""
