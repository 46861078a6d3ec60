"""One image with all its targets, a pure function of (seed, split, index)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtlbench.data.generated import SPLITS
from mtlbench.data.rooms.layout import draw
from mtlbench.data.rooms.raycast import View, camera_normals, shade, trace
from mtlbench.data.rooms.scene import CLASSES

NOISE = 4 / 255
"""Largest sensor noise; it is uniform."""


@dataclass(frozen=True)
class Picture:
    """A rendered scene, H by W pixels.

    Attributes:
        rgb: [H, W, 3] uint8.
        label: [H, W] uint8, positions in `CLASSES`.
        normal: [3, H, W] float32 unit vectors: x right, y down, z away from the camera.
        depth: [H, W] float32, distance along the optical axis in metres.
        surface: [H, W] uint8, which face of the room, patch or solid is seen, see `raycast.Hits`.
        albedo: [3, H, W] float32 in 0..1, the share of the light that the surface reflects.
        light: [3, H, W] float32, what falls on the surface, and its glow: `rgb` shows the square root of
            albedo * light, at most 1, under noise.
    """

    rgb: NDArray[np.uint8]
    label: NDArray[np.uint8]
    normal: NDArray[np.float32]
    depth: NDArray[np.float32]
    surface: NDArray[np.uint8]
    albedo: NDArray[np.float32]
    light: NDArray[np.float32]


def render(seed: int, split: str, index: int, height: int, width: int) -> Picture:
    """Image `index` of `split`; the scene is the same at every resolution."""
    # Each word must stay below 2**32, or two triples could give the same stream.
    rng = np.random.default_rng([seed, SPLITS.index(split), index])
    scene = draw(rng)
    view = View(scene.camera, height, width)
    hits = trace(scene, view)
    albedo, light = shade(scene, view, hits)
    # The square root is the display's gamma; unlike other powers it rounds the same on every machine.
    bright = np.sqrt(np.clip(albedo * light, 0, 1))
    bright += np.float32(NOISE) * (2 * rng.random(bright.shape, dtype=np.float32) - 1)
    rgb = np.rint(255 * np.clip(bright, 0, 1)).astype(np.uint8).transpose(1, 2, 0)
    normal = camera_normals(hits, view)
    return Picture(np.ascontiguousarray(rgb), hits.label, normal, hits.depth, hits.surface, albedo, light)


def class_weights(scenes: int = 128, side: int = 32) -> NDArray[np.float64]:
    """Cross-entropy weight of each class, [13] float64, the same for every dataset.

    Taskonomy's factors are those of Zhang et al., Colorful Image Colorization (ECCV 2016), eq. 4: the inverse
    of the class's share mixed half and half with the uniform share, scaled so that the mean weight over the
    pixels is 1. The shares come from the first `scenes` scenes of seed 0.
    """
    count = np.zeros(len(CLASSES), np.int64)
    for index in range(scenes):
        scene = draw(np.random.default_rng([0, 0, index]))
        label = trace(scene, View(scene.camera, side, side)).label
        count += np.bincount(label.ravel(), minlength=len(CLASSES))
    share = count / count.sum()
    weight = 1 / (share / 2 + 1 / (2 * len(CLASSES)))
    weights: NDArray[np.float64] = weight / (share * weight).sum()
    return weights
