"""Your own data: a folder in any layout, described by a few lines of yaml (`dataset=folder dataset.describe=...`).

`description` says what a description may hold, `places` and `listing` where files and ids are, `tables` reads lists
and tables, `labels` what stands in them about whole images, `encoding` and `decode` turn files into targets, `dataset`
makes samples of all that. Ready descriptions lie in known/. Guide: docs/datasets.md.
"""
