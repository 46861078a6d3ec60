"""What the inputs of a dataset are to an attack: images, vectors or sentences; their box, and the unit of eps."""

from dataclasses import dataclass, replace
from typing import Literal

from mtlbench.constants import GREY_LEVELS

Form = Literal["image", "vector", "text"]
FORMS: tuple[Form, ...] = ("image", "vector", "text")


@dataclass(frozen=True)
class Space:
    """The space that inputs [B, ...] lie in.

    Attributes:
        form: ``image`` inputs [B, 3, H, W] can be augmented, and their changes are visible; ``vector`` [B, D];
            ``text`` [B, M, E], M words of E values.
        unit: the name of one unit of eps, as tables print it.
        scale: units of eps in a change of 1 of a value: eps / scale is in the unit of the input.
        most: the largest eps that makes sense.
        box: the smallest and largest value of an input; None where nothing bounds them.
        per_word: whether each word has a ball of its own, of radius eps; false = each input has.
        euclidean: whether a radius of norm ``l2`` is a Euclidean length; false = a root mean square.
        block: inputs computed at once on a CPU; None where that depends on an image's size.
        counted: whether eps counts things, so that it is a whole number.
    """

    form: Form
    unit: str
    scale: float = 1.0
    most: float = float("inf")
    box: tuple[float, float] | None = None
    per_word: bool = False
    euclidean: bool = False
    block: int | None = None
    counted: bool = False

    @property
    def example(self) -> str:
        """What eps may look like, for messages."""
        if self.form == "image":
            return f"eps counts {self.unit}: write eps=4 for 4/255, or eps=[1,2,4,8]"
        if self.counted:
            return f"eps counts {self.unit}: write eps=1, or eps=[1,3]"
        return f"eps is in units of {self.unit}: write eps=0.1, or eps=[0.1,0.2,0.4]"

    def counting(self, what: str | None) -> "Space":
        """The same inputs under a step rule whose eps counts something (`Step.counts`); unchanged for None."""
        return self if what is None else replace(self, unit=what, counted=True)


IMAGES = Space("image", "grey levels of 255", GREY_LEVELS, GREY_LEVELS, (0.0, 1.0))
"""RGB images in [0, 1]."""
