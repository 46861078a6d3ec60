"""Panels: what an attack does to single images, from the images that ``save_images`` kept."""

from mtlbench.report.panels.gallery import Gallery, panels
from mtlbench.report.panels.panel import Panel

__all__ = ["Gallery", "Panel", "panels"]
