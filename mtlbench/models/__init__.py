"""Sharing trees, backbones in five blocks, the tree model, weights on disk."""
