"""``attack(save_images=8)``: the images that the attacks hurt most, least and in between, kept with the result."""

from collections.abc import Iterable, Sequence

import torch

from mtlbench.data.batch import Batch, join
from mtlbench.engine.evaluate import Pass
from mtlbench.errors import DataError
from mtlbench.experiment.chosen import Place, choose
from mtlbench.experiment.kept import Keeper, about_places, described
from mtlbench.storage.images import KeptImages, set_name
from mtlbench.storage.store import Cell


def chosen_images(cells: Sequence[Cell], number: int) -> list[Place]:
    """The images to keep, by the rule of `choose`; the first cell is the clean one."""
    clean, *attacked = (cell.arrays["losses"] for cell in cells)
    return choose([(clean, after) for after in attacked], number)


def picked(blocks: Iterable[Batch], places: Sequence[Place], at_once: int, device: torch.device) -> list[Batch]:
    """The images at these places, in their order, in batches on the device.

    Raises:
        DataError: they are of different sizes.
    """
    wanted = {place.index: order for order, place in enumerate(places)}
    found: dict[int, Batch] = {}
    start = 0
    for block in blocks:
        for index in wanted.keys() & range(start, start + len(block)):
            found[wanted[index]] = block[[index - start]]
        start += len(block)
    rows = [found[order] for order in range(len(places))]
    if len({row.input.shape for row in rows}) > 1:
        raise DataError("save_images: the chosen images are of different sizes; expected images of one size")
    whole = join(rows).to(device)
    return [whole[first : first + at_once] for first in range(0, len(rows), at_once)]


def kept_images(work: Pass, cells: Sequence[Cell], places: Sequence[Place], batches: Sequence[Batch]) -> KeptImages:
    """The images of every cell of a pass.

    Args:
        work: the pass.
        cells: its cells, computed; the clean one first.
        places: of the images.
        batches: the images.
    """
    clean, *attacked = cells
    about = about_places(places, clean.key, len(attacked), clean.identity["n_images"])
    about["tasks"] = [described(task) for task in work.tasks]
    keep = Keeper(work.model, work.tasks, work.seed, batches, about, lambda depth: depth, work.clean_values)
    rows = [place.index for place in places]
    pairs = zip(work.cells, cells, strict=True)
    saved = {cell.key: keep(plan, cell.key, cell.arrays["losses"][rows]) for plan, cell in pairs}
    return KeptImages(set_name((cell.key for cell in attacked), len(places)), saved)
