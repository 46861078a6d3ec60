"""``attack(save_images=...)`` and what it shows: the images of the rule, attacked as in the cells, on a page."""

import html
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import mtlbench
from mtlbench import MtlbenchError, Result
from tests.api.conftest import TASKS

Split = tuple[Tensor, dict[str, Tensor]]
OPTIONS: dict[str, Any] = {"objective": ["dgba", "single"], "step": "pgd", "steps": 2, "progress": False}
EPS = (4, 8)
KEPT = 4


@pytest.fixture(scope="module")
def kept(net: nn.Module, test_split: Split) -> Result:
    return mtlbench.attack(net, test_split, TASKS, eps=EPS, save_images=KEPT, **OPTIONS)


def only_set(result: Result) -> dict[str, Any]:
    """Key of a cell -> its images."""
    assert result.images is not None
    ((chosen, keys),) = result.images.sets().items()
    return {key: result.images.load(chosen, key) for key in keys}


def test_every_cell_has_the_images_of_the_rule(kept: Result, test_split: Split) -> None:
    saved = only_set(kept)
    clean, *attacked = kept.cells
    assert saved.keys() == {cell.key for cell in kept.cells}
    names = saved[clean.key].about["names"]
    assert {tuple(one.about["names"]) for one in saved.values()} == {tuple(names)}
    before = clean.arrays["losses"]
    rises = [(cell.arrays["losses"] - before) / np.abs(before) for cell in attacked]
    ranks = np.mean([rise[:, task].argsort().argsort() for rise in rises for task in range(3)], axis=0)
    by_hand = np.argsort(-ranks, kind="stable")
    assert int(names[0]) == by_hand[0]
    assert int(names[-1]) == by_hand[-1]
    torch.testing.assert_close(
        torch.as_tensor(saved[clean.key].arrays["image"]), test_split[0][[int(name) for name in names]]
    )


def test_they_are_attacked_as_in_the_cells(kept: Result) -> None:
    saved = only_set(kept)
    before = saved[kept.cells[0].key].arrays["image"]
    for cell in kept.cells[1:]:
        one = saved[cell.key]
        moved = 255 * np.abs(one.arrays["image"] - before).max()
        assert cell.identity["eps"] / 2 < moved <= cell.identity["eps"] + 1e-3
        rows = [int(name) for name in one.about["names"]]
        np.testing.assert_allclose(one.about["losses"], cell.arrays["losses"][rows], rtol=1e-4, atol=1e-6)


def test_the_results_are_the_same_without(kept: Result, net: nn.Module, test_split: Split) -> None:
    plain = mtlbench.attack(net, test_split, TASKS, eps=EPS, **OPTIONS)
    assert plain.images is None
    assert plain.arp.equals(kept.arp)
    assert [cell.key for cell in plain.cells] == [cell.key for cell in kept.cells]


def test_a_panel_for_each_image_and_eps(kept: Result, tmp_path: Path) -> None:
    shown = kept.panels()
    assert len(shown) == KEPT * len(EPS)
    page = shown.save(tmp_path / "panels.html").read_text()
    assert page.count('<figure class="panel"') == len(shown)
    for name in (*TASKS, "dgba", "single: range", "perturbation"):
        assert name in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "Shown of 24 images: 2 hurt most, 1 in the middle, 1 hurt least." in page


def test_a_notebook_shows_the_same_page_in_a_frame(kept: Result) -> None:
    shown = kept.panels()
    frame = shown._repr_html_()
    found = re.fullmatch(
        r'<iframe title="Attacked images" width="100%" height="\d+" srcdoc="([^"]*)"></iframe>', frame
    )
    assert found is not None
    assert html.unescape(found[1]) == shown.html


def test_saved_and_loaded_they_are_the_same(kept: Result, tmp_path: Path) -> None:
    loaded = mtlbench.load(kept.save(tmp_path / "out"))
    panels = [[panel.html for panel in result.panels().gallery.panels] for result in (kept, loaded)]
    assert panels[0] == panels[1]
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "images").glob("*/*")}
    assert len(files) == len(kept.cells)
    kept.save(tmp_path / "out")
    assert files == {path: path.stat().st_mtime_ns for path in files}


def test_an_attack_that_climbs_metrics_has_images(net: nn.Module, test_split: Split) -> None:
    found = mtlbench.attack(
        net, test_split, TASKS, "smooth_arp", "pgd", 8, steps=1, save_images=1, progress=False, replicates=0
    )
    assert len(found.panels()) == 1


class Shuffled:
    """Other images every time."""

    def __init__(self, split: Split) -> None:
        self.split, self.times = split, 0

    def __iter__(self) -> Iterator[Split]:
        image, target = self.split
        order = torch.arange(len(image)).roll(self.times)
        self.times += 1
        yield image[order], {name: values[order] for name, values in target.items()}


def test_what_cannot_be_kept_is_said(net: nn.Module, test_split: Split, kept: Result) -> None:
    short: dict[str, Any] = OPTIONS | {"eps": 8, "steps": 1, "replicates": 0, "probe": None}

    def refused(loader: Any, number: Any) -> str:
        with pytest.raises(MtlbenchError) as caught:
            mtlbench.attack(net, loader, TASKS, save_images=number, **short)
        return str(caught.value)

    assert "save_images=1: the images are known only afterwards, so the loader is read twice" in refused(
        iter([test_split]), 1
    )
    assert "gives other images when it is read again; does it shuffle?" in refused(Shuffled(test_split), 1)
    assert refused(test_split, 0).startswith("save_images=0")
    with pytest.raises(MtlbenchError, match=r"no images were kept; expected a result of attack\(..., save_images=8\)"):
        replace(kept, images=None).panels()


def test_images_of_several_sizes(net: nn.Module, test_split: Split) -> None:
    image, target = test_split
    wide = {
        name: values.repeat(*[1] * (values.ndim - 1), 2) if values.ndim > 1 else values
        for name, values in target.items()
    }
    loader = [test_split, (image.repeat(1, 1, 1, 2), wide)]
    with pytest.raises(MtlbenchError, match="the chosen images are of different sizes"):
        mtlbench.attack(net, loader, TASKS, "dgba", "pgd", 8, steps=1, save_images=40, progress=False, replicates=0)
