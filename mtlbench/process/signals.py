"""The signals that have asked this process to stop. Whatever breaks after one breaks because of it.

A signal may arrive inside of a library that catches everything, or between two steps that belong together: what comes
out then is any error at all, and no fault of a cell.
"""

received: list[int] = []
