"""parts: generated images of manufactured parts with defects, for inspection; needs no download.

A part and what may be wrong with it are drawn at random (`part`, `defects`), made of shapes (`shapes`), shown
(`picture`) and written the way MVTec AD lies on the disk (`write`), so that the reader of folders serves it.
"""

from mtlbench.data.parts.defects import CLASSES, LEAST
from mtlbench.data.parts.picture import Picture, render
from mtlbench.data.parts.write import FORMS, VERSION

__all__ = ["CLASSES", "FORMS", "LEAST", "VERSION", "Picture", "render"]
