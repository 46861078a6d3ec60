"""Models of other libraries by name: ``build(tasks, ...) -> Adapted``, for ``model=custom`` and for Python.

Each makes one network whose last layer has a channel for each channel of each task. Weights are random, as nothing is
ever downloaded: load your own with ``checkpoint=``, or into the ``inner`` module of what `build` returns.
"""
