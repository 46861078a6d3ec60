"""Targets that are functions of others: keypoints2d and edge_texture of the image, instance edges of the surfaces.

Zamir et al., Taskonomy (CVPR 2018): 2-D keypoints are the response of the SURF detector (Bay et al. 2006),
texture edges the gradient of Canny's detector before thinning. Both work on the grey image in [0, 1].
"""

import numpy as np
from numpy.typing import NDArray

KEYPOINT_SIGMAS = np.linspace(1, 30, 10)
EDGE_SIGMA = 3.0
FULL_SIZE = 256
"""Side in pixels that the Tiny-Taxonomy readers work at; the scales fit images from here on."""


def grey(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """ITU-R 601 luma of an RGB image [H, W, 3], rounded to 1/255 as Pillow's mode L; [H, W] in [0, 1]."""
    weights = np.array([19595, 38470, 7471], np.uint32)
    luma = (rgb.astype(np.uint32) * weights).sum(axis=2) + 0x8000
    return (luma >> 16) / 255.0


def keypoint_sigmas(side: int) -> NDArray[np.float64]:
    """The ten scales for images whose shorter side has `side` pixels.

    From 256 pixels on they are Taskonomy's. Below, they shrink with the image, as boxes as large as the
    whole image measure only its border (at 64 pixels four fifths of the centre would saturate); they are
    rounded to whole pixels, at least 1, because the box filters do not sum to zero in between.
    """
    if side >= FULL_SIZE:
        return KEYPOINT_SIGMAS
    return np.unique(np.maximum(np.round(KEYPOINT_SIGMAS * side / FULL_SIZE), 1.0))


def keypoints2d(rgb: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Largest determinant of the Hessian over ten scales, times 65535; [H, W].

    The scales are those of `keypoint_sigmas`.
    """
    from skimage.feature import hessian_matrix_det  # takes a second to import, and is needed only here

    image = grey(rgb)
    return _encode(np.max([hessian_matrix_det(image, sigma=s) for s in keypoint_sigmas(min(image.shape))], axis=0))


def edge_texture(rgb: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Sobel magnitude of the image blurred with a Gaussian of 3 pixels, times 65535; [H, W].

    The blur is divided by the blur of a constant image, so the border does not appear as an edge.
    """
    from skimage.filters import gaussian, sobel

    image = grey(rgb)
    inside = gaussian(np.ones_like(image), sigma=EDGE_SIGMA, mode="constant")
    return _encode(sobel(gaussian(image, sigma=EDGE_SIGMA, mode="constant") / inside))


def instance_edges(surface: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where one of a pixel's four neighbours shows another surface; [H, W]. Both sides of an edge are edge."""
    edge = np.zeros(surface.shape, np.bool_)
    across, down = surface[:, 1:] != surface[:, :-1], surface[1:] != surface[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    return edge


def _encode(values: NDArray[np.float64]) -> NDArray[np.uint16]:
    return (np.clip(values, 0, 1) * 65535).astype(np.uint16)
