"""rooms: rendered indoor scenes, the dataset that needs no download.

A box-shaped room with furniture, a camera and a light is drawn at random (`layout`), described (`scene`),
ray-cast (`raycast`, `solids`, `textures`) and written in the format of NYUv2 or Tiny-Taxonomy
(`write`), so the readers of those two serve rooms as well; or in a folder of eight tasks, which a description reads.
"""

from mtlbench.data.rooms.picture import Picture, class_weights, render
from mtlbench.data.rooms.scene import CLASSES
from mtlbench.data.rooms.write import FORMS, VERSION

__all__ = ["CLASSES", "FORMS", "VERSION", "Picture", "class_weights", "render"]
