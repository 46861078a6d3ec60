"""What the reference implementation of arXiv 2305.12066 runs, to reproduce its numbers and to compare the cost with.

A plugin that comes along: it adds step rules and an objective, and nothing else imports it. APGD and SAGA here see the
whole batch, so that their numbers change with its size; use those of `attacks.steps` for everything else.
"""

from mtlbench.reference.apgd import ReferenceAPGD
from mtlbench.reference.naive import NaiveDGBA
from mtlbench.reference.saga import ReferenceSAGA

__all__ = ["NaiveDGBA", "ReferenceAPGD", "ReferenceSAGA"]
