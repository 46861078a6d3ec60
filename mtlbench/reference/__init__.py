"""The algorithms of the reference implementation of arXiv 2305.12066, to reproduce its numbers and compare costs.

A bundled plugin: it adds step rules and an objective, and nothing else imports it. Its APGD and SAGA depend on the
whole batch, so that their numbers change with the batch size; use those of `attacks.steps` for everything else.
"""

from mtlbench.reference.apgd import ReferenceAPGD
from mtlbench.reference.naive import NaiveDGBA
from mtlbench.reference.saga import ReferenceSAGA

__all__ = ["NaiveDGBA", "ReferenceAPGD", "ReferenceSAGA"]
