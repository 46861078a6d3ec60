"""p-values of several tests at once (Holm 1979): a table with twenty of them has one below .05 by chance."""

import numpy as np
import pandas as pd


def holm(p_values: pd.Series) -> pd.Series:
    """Adjusted p-values: rejecting where they are below .05 errs anywhere in the table with probability .05 at most.

    Args:
        p_values: of the tests of one table; NaN where there is none, which counts for nothing.
    """
    ordered = p_values.dropna().sort_values(kind="stable")
    tests = len(ordered)
    adjusted = (ordered * np.arange(tests, 0, -1)).cummax().clip(upper=1)
    return adjusted.reindex(p_values.index)
