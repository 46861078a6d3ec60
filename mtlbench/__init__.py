"""Measure how multi-task vision models break under adversarial attack.

Read `experiment/run.py` first: it wires dataset, model, attack and evaluation into cells of a store,
from which `scores.py` derives ARP (average relative performance drop) and transferability.
"""

__version__ = "0.1.0"
