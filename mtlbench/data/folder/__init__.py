"""Your own data: a folder in any layout, described by a few lines of yaml (`dataset=folder dataset.describe=...`).

`description` checks a description, `places` and `listing` find files and ids, `tables` reads lists and tables,
`labels` the values of whole images in them, `encoding` and `decode` turn files into targets, `dataset` makes samples
from all of these. Ready descriptions are in known/. Guide: docs/datasets.md.
"""
