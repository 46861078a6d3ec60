"""parts: generated images of manufactured parts with defects, for inspection; needs no download.

A part and its defect are drawn at random (`part`, `defects`) from shapes (`shapes`), rendered (`picture`) and written
in the format of MVTec AD (`write`), so that the reader of folders can read it.
"""

from mtlbench.data.parts.defects import CLASSES, LEAST
from mtlbench.data.parts.picture import Picture, render
from mtlbench.data.parts.write import FORMS, VERSION

__all__ = ["CLASSES", "FORMS", "LEAST", "VERSION", "Picture", "render"]
