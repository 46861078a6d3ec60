"""Auto: the parameter-free reference attack for multi-task models, as AutoAttack is for classification."""

from typing import Any

from mtlbench.attacks.objectives.smooth_arp import SmoothARP


class Auto(SmoothARP):
    """One long run of `SmoothARP`, as a fixed recipe: `mim_linear`, 100 gradients, from the image, last iterate. Ours.

    It is no ensemble: restarts and shrinking radii did less with the same gradients on the validation images
    (docs/results/auto.md). Beside it are checks, which change no number of it: the same run with 200 gradients, and
    random search without gradients, on some of the images.

    Another recipe is another attack: a change takes a new name.
    """

    name, recipe = "auto", "auto-v1"

    def identity(self) -> dict[str, Any]:
        """With the recipe."""
        return super().identity() | {"recipe": self.recipe}
