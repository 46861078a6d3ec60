"""Scale, mirror, crop: the recipe of the reference (MTLAttack-DGBA), after AdaShare, arXiv 1911.12423.

Each sample has its own random generator, so that it does not depend on the worker, the order or the batch. (The
reference mixes two global generators and seeds only one of them.)
"""

from dataclasses import asdict, dataclass

import cv2
import numpy as np

from mtlbench.data.files import Array
from mtlbench.errors import UsageError
from mtlbench.options import flag, is_number


@dataclass(frozen=True)
class View:
    """How a stored image becomes a sample: resize to `scaled`, mirror, then cut out `crop`.

    Attributes:
        scaled: height and width after the resize.
        mirrored: whether left and right are exchanged.
        corner: row and column of the crop's upper left pixel; negative if the crop starts in the padding.
        crop: height and width of the sample.
        scale: the random zoom; 1 without augmentation.
    """

    scaled: tuple[int, int]
    mirrored: bool
    corner: tuple[int, int]
    crop: tuple[int, int]
    scale: float = 1.0

    def labels(self, array: Array, fill: float) -> Array:
        """Resample by OpenCV's nearest rule, pixel floor(i * in / out), as the reference; pad with `fill`."""
        return self._cut(resize_nearest(array, self.scaled), fill)

    def image(self, array: Array) -> Array:
        """Resample bilinearly in the array's own type (uint8 rounds, as in the reference); pad with black."""
        if array.shape[:2] != self.scaled:
            array = cv2.resize(array, self.scaled[::-1], interpolation=cv2.INTER_LINEAR)
        return self._cut(array, 0)

    def covered(self) -> Array:
        """Bool [H, W], False where the sample is padding."""
        return self._cut(np.ones(self.scaled, bool), False)

    def _cut(self, array: Array, fill: float) -> Array:
        if self.mirrored:
            array = array[:, ::-1]
        (top, left), (height, width) = self.corner, self.crop
        inner = array[max(top, 0) : top + height, max(left, 0) : left + width]
        if inner.shape[:2] == self.crop:
            return np.ascontiguousarray(inner)
        out = np.full((height, width, *array.shape[2:]), fill, array.dtype)
        row, column = max(-top, 0), max(-left, 0)
        out[row : row + inner.shape[0], column : column + inner.shape[1]] = inner
        return out


@dataclass(frozen=True)
class Augment:
    """Random scale, mirror and crop.

    Args:
        scale_min: the scale is drawn uniformly from scale_min..scale_max.
        scale_max: see `scale_min`; 1 and 1 keep the stored size.
        mirror: exchange left and right with probability 1/2.

    Raises:
        UsageError: the scales are not 0 < scale_min <= scale_max.
    """

    scale_min: float = 0.5
    scale_max: float = 1.5
    mirror: bool = True

    def __post_init__(self) -> None:
        flag(self.mirror, "dataset.augment.mirror")
        numbers = all(is_number(scale) for scale in (self.scale_min, self.scale_max))
        if not numbers or not 0 < self.scale_min <= self.scale_max < 100:
            raise UsageError(
                f"augment: scale_min={self.scale_min}, scale_max={self.scale_max}; "
                "expected 0 < scale_min <= scale_max < 100"
            )
        for name in ("scale_min", "scale_max"):  # 1 and 1.0 are one recipe
            object.__setattr__(self, name, float(getattr(self, name)))

    def view(self, size: tuple[int, int], crop: tuple[int, int], seed: int, index: int, draw: int) -> View:
        """The view of image `index` in draw number `draw`: a pure function of its arguments.

        A scaled image smaller than the crop is centred in padding; a larger one is cropped at random.
        """
        sequence = np.random.SeedSequence(seed, spawn_key=(index, draw))
        random = np.random.Generator(np.random.Philox(sequence))
        position, coin, down, right = random.random(4).tolist()
        scale = self.scale_min + position * (self.scale_max - self.scale_min)
        scaled = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
        return View(
            scaled=scaled,
            mirrored=self.mirror and coin < 0.5,
            corner=(_corner(scaled[0], crop[0], down), _corner(scaled[1], crop[1], right)),
            crop=crop,
            scale=scale,
        )

    def settings(self) -> dict[str, object]:
        """The fields as JSON values."""
        return asdict(self)


def squash(resolution: tuple[int, int]) -> View:
    """The view for testing: the whole image resized to `resolution`, without keeping the aspect ratio."""
    return View(scaled=resolution, mirrored=False, corner=(0, 0), crop=resolution)


def resize_nearest(array: Array, size: tuple[int, int]) -> Array:
    """Resize to (height, width) by OpenCV's nearest rule; an array of that size is returned unchanged."""
    if array.shape[:2] == size:
        return array
    return cv2.resize(array, size[::-1], interpolation=cv2.INTER_NEAREST)


def _corner(length: int, crop: int, uniform: float) -> int:
    if length < crop:
        return -((crop - length) // 2)
    return int(uniform * (length - crop + 1))
