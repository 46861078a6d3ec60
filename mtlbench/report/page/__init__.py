"""outputs/report.html: one self-contained file with what was run, what it shows, tables, plots, panels, provenance."""

from mtlbench.report.page.page import Block, Page, Section, render

__all__ = ["Block", "Page", "Section", "render"]
