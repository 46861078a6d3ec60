"""The encoding of stored values: channels, scale, ignored values.

A value is ``scale * stored + offset`` after `layout`, `channel` and `order`. It is valid if the stored value is not in
`ignore`, none of its channels is `any_ignore`, it is finite, and the value is inside `valid`.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from pathlib import Path

import numpy as np

from mtlbench.data.files import GREY_SCALE, PALETTE, RGB, Array, read_jpeg, read_npy, read_png
from mtlbench.data.folder.keys import Keys
from mtlbench.errors import DataError
from mtlbench.options import is_number, is_whole

KEYS = (
    *("scale", "offset", "layout", "channel", "order", "bits", "palette"),
    *("ignore", "any_ignore", "valid"),
)


@dataclass(frozen=True)
class Encoding:
    """See the module.

    Attributes:
        scale: see the module; exact.
        offset: see the module; exact.
        layout: ``hwc`` or, of .npy files, ``chw``.
        channel: the channel to keep, None for all.
        order: positions in the file of the target's channels; empty keeps the order.
        bits: of a PNG.
        palette: whether a palette PNG gives its indices.
        ignore: ignored stored values, or tuples of one value per channel; NaN is always ignored.
        any_ignore: a stored value that, in any channel, makes the pixel ignored.
        valid: inclusive bounds of the valid values.
    """

    scale: Fraction = Fraction(1)
    offset: Fraction = Fraction(0)
    layout: str = "hwc"
    channel: int | None = None
    order: tuple[int, ...] = ()
    bits: int = 8
    palette: bool = False
    ignore: tuple[float | tuple[float, ...], ...] = ()
    any_ignore: float | None = None
    valid: tuple[float, float] | None = None

    @classmethod
    def of(cls, keys: Keys, bits: int = 8) -> "Encoding":
        """The encoding in a mapping; `bits` is the default bit depth."""
        if "palette" in keys and keys.get("palette") != "index":
            keys.refuse("palette", "expected index: the numbers in the file, not the colours that they stand for")
        if "bits" in keys and keys.get("bits") not in (8, 16):
            keys.refuse("bits", "expected 8 or 16, of a PNG")
        return cls(
            scale=keys.fraction("scale", 1),
            offset=keys.fraction("offset", 0),
            layout=keys.choice("layout", ("hwc", "chw"), "hwc"),
            channel=keys.whole("channel", 0, 1000) if "channel" in keys else None,
            order=keys.items("order", "positions of channels such as [2, 1, 0]", lambda part: is_whole(part, 0)),
            bits=keys.get("bits") or bits,
            palette="palette" in keys,
            ignore=tuple(
                tuple(map(float, value)) if isinstance(value, tuple) else float(value)
                for value in keys.items(
                    "ignore", "a list of stored values such as [0] or [[255, 255, 255]]", _is_stored
                )
            ),
            any_ignore=keys.number("any_ignore") if "any_ignore" in keys else None,
            valid=keys.pair("valid", "[0.1, 10]") if "valid" in keys else None,
        )

    def stored(self, path: Path, channels: int) -> Array:
        """The stored values of a file, [H, W, channels], in its own type.

        Raises:
            DataError: the file is damaged, or has another format.
        """
        array = self._arranged(path, _read(path, self.bits, self.palette, volume=self._is_volume(channels)))
        if self.channel is not None:
            if self.channel >= array.shape[2]:
                raise DataError(f"{path}: {array.shape[2]} channels; expected more than channel: {self.channel}")
            array = array[..., self.channel : self.channel + 1]
        if self.order:
            if max(self.order) >= array.shape[2]:
                raise DataError(f"{path}: {array.shape[2]} channels; expected those of order: {list(self.order)}")
            array = array[..., list(self.order)]
        if array.shape[2] != channels:
            raise DataError(
                f"{path}: {array.shape[2]} channels; expected {channels} (channel: N takes one of them, "
                "layout: chw is for arrays whose channels stand first)"
            )
        return array

    def values(self, stored: Array) -> Array:
        """Float32 values of stored ones [H, W, C]; ignored pixels are NaN.

        The exact value is rounded only once if scale and offset are fractions of moderate size.
        """
        if stored.dtype in (np.uint8, np.uint16):  # few values: each is computed once
            every = np.arange(np.iinfo(stored.dtype).max + 1)
            found: Array = self._inside(every)[stored]
        else:
            found = self._inside(stored)
        found[self.ignored(stored) | ~np.isfinite(found).all(axis=2)] = np.nan
        return found

    def _inside(self, stored: Array) -> Array:
        """Scaled values, float32; NaN outside `valid`."""
        common = lcm(self.scale.denominator, self.offset.denominator)
        exact = stored.astype(np.float64)
        if common < 2**31:
            exact = (exact * int(self.scale * common) + int(self.offset * common)) / common
        else:
            exact = exact * float(self.scale) + float(self.offset)
        if self.valid is not None:
            exact[(exact < self.valid[0]) | (exact > self.valid[1])] = np.nan
        return exact.astype(np.float32)

    def ignored(self, stored: Array) -> Array:
        """Mask of ignored stored values [H, W, C]: bool [H, W]."""
        out = np.zeros(stored.shape[:2], bool)
        if stored.dtype.kind == "f":
            out |= np.isnan(stored).any(axis=2)
        for value in self.ignore:
            out |= (stored == np.asarray(value)).all(axis=2)
        if self.any_ignore is not None:
            out |= (stored == self.any_ignore).any(axis=2)
        return out

    def _is_volume(self, channels: int) -> bool:
        """Whether the encoding needs an array with a third axis."""
        return channels > 1 or self.channel is not None or bool(self.order)

    def _arranged(self, path: Path, array: Array) -> Array:
        """[H, W, C] of [H, W], [H, W, C] or [C, H, W]."""
        if array.ndim == 2:
            return array[..., None]
        if self.layout == "chw":
            return array.transpose(1, 2, 0)
        if array.shape[0] in (1, 3) and array.shape[2] > 4:
            raise DataError(f"{path}: array of shape {array.shape}, whose channels seem to stand first; layout: chw")
        return array


def _read(path: Path, bits: int, palette: bool, volume: bool) -> Array:
    """The array of a file, read by its suffix."""
    ending = path.suffix.lower()
    if ending == ".npy":
        return read_npy(path, ndim=3 if volume else (2, 3), finite=False)
    if ending == ".png":
        forms = [(8, PALETTE)] if palette else [(bits, GREY_SCALE), (bits, RGB)]
        return read_png(path, forms, _png_remedy(bits, palette))
    if ending in (".jpg", ".jpeg"):
        return read_jpeg(path)
    raise DataError(f"{path}: a file of another kind; expected .png, .jpg, .jpeg or .npy")


def _png_remedy(bits: int, palette: bool) -> str:
    """The hint for a PNG of another format."""
    if palette:
        return " (palette: index is for palette PNGs alone)"
    return f"; bits: {24 - bits} for {24 - bits}-bit files, palette: index for the numbers in a palette PNG"


def _is_stored(value: object) -> bool:
    """A number, or a list of one for each channel."""
    if isinstance(value, list):
        return bool(value) and all(map(is_number, value))
    return is_number(value) or value != value  # NaN, which is always ignored
