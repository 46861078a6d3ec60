"""The stop signals that this process has received. Any error after one is a consequence of it.

A signal may arrive inside a library that catches every exception, or between two steps that belong together. The error
that results can be of any type, and must not be recorded as the failure of a cell.
"""

received: list[int] = []
