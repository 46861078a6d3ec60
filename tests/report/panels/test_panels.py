"""Panels: from saved images to a figure."""

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from mtlbench.report.panels import Gallery, panels
from mtlbench.storage.images import SavedImages
from mtlbench.storage.outputs import Outputs
from tests.report.panels.saved import IMAGES, NASTY, gallery, identity, task, write

TAGS = frozenset(
    "figure figcaption p label span input div table thead tbody tr th td b ul li svg rect img meter".split()  # noqa: SIM905
)


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path / "outputs")


class Reader(HTMLParser):
    """Tags, their attributes and the text of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("img", "input", "rect"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def pictures(self, name: str) -> list[np.ndarray]:
        """Those with this alternative text."""
        found = (str(a["src"]) for tag, a in self.tags if tag == "img" and a["alt"] == name)
        return [decoded(src) for src in found]


def decoded(src: str) -> np.ndarray:
    content = base64.b64decode(src.removeprefix("data:image/webp;base64,"))
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def first(outputs: Outputs, *attacks: str) -> Reader:
    return Reader(gallery(outputs, *attacks).panels[0].html)


def test_tags_are_closed(outputs: Outputs) -> None:
    write(outputs, {"dgba": 2.0})
    assert first(outputs, "dgba").open == []


def test_names_are_text(outputs: Outputs) -> None:
    write(outputs, {"a": 2.0})
    found = panels(outputs.images, {"a": identity(NASTY, model=NASTY)}).panels[1]
    page = Reader(found.html)
    assert {tag for tag, _ in page.tags} <= TAGS
    assert page.text.count(NASTY) > 3


def test_nothing_that_a_strict_policy_refuses(outputs: Outputs) -> None:
    write(outputs, {"a": 2.0})
    page = first(outputs, "a")
    used = {name for _, attributes in page.tags for name in attributes}
    assert not {name for name in used if name == "style" or name.startswith("on")}
    assert all(str(a["src"]).startswith("data:image/webp;base64,") for tag, a in page.tags if "src" in a)


def test_every_picture_has_words(outputs: Outputs) -> None:
    write(outputs, {"a": 2.0})
    assert all(attributes["alt"] for tag, attributes in first(outputs, "a").tags if tag == "img")


def test_ids_are_unique(outputs: Outputs) -> None:
    write(outputs, {"a": 2.0})
    html = "".join(panel.html for panel in gallery(outputs, "a").panels)
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(set(ids)) == len(ids) == 2 * IMAGES


def test_a_panel_an_image_worst_first(outputs: Outputs) -> None:
    write(outputs, {"a": 2.0})
    assert [panel.index for panel in gallery(outputs, "a").panels] == [0, 1, 2]


def test_the_strongest_attack_stands_first(outputs: Outputs) -> None:
    write(outputs, {"weak": 2.0, "strong": 9.0})
    assert [column.label for column in gallery(outputs, "weak", "strong").panels[0].columns] == ["strong", "weak"]


def test_a_task_with_large_losses_does_not_decide_which_attack_is_strongest(outputs: Outputs) -> None:
    write(outputs, {"loud": 2.0, "broad": 2.0})
    for key, row in {"clean": [100, 1, 1, 1, 1], "loud": [150, 1, 1, 1, 1], "broad": [100, 3, 3, 3, 3]}.items():
        about = {**outputs.images.about("set", key), "losses": [row] * IMAGES}
        outputs.images.save("set", SavedImages(key, about, outputs.images.load("set", key).arrays))
    assert [column.label for column in gallery(outputs, "loud", "broad").panels[0].columns] == ["broad", "loud"]


def test_attacks_that_differ_in_steps_are_told_apart(outputs: Outputs) -> None:
    write(outputs, {"a": 2.0, "b": 3.0})
    found = panels(outputs.images, {"a": identity("dgba"), "b": identity("dgba", steps=7)})
    assert [column.label for column in found.panels[0].columns] == ["dgba; pgd, 7 steps", "dgba; pgd, 2 steps"]


def test_more_attacks_than_fit_are_counted(outputs: Outputs) -> None:
    keys = [f"a{number:02d}" for number in range(20)]
    write(outputs, dict.fromkeys(keys, 2.0))
    assert "14 weaker attacks are not shown" in first(outputs, *keys).text


def test_the_perturbation_is_that_of_the_floats(outputs: Outputs) -> None:
    write(outputs, {"a": 2.0})
    page = first(outputs, "a")
    assert "amplified 15.9 times" in page.text
    arrays = (outputs.images.load("set", key).arrays["image"][0] for key in ("a", "clean"))
    signs = np.sign(np.subtract(*arrays)).transpose(1, 2, 0)
    (shown,) = page.pictures("perturbation")
    assert np.array_equal(np.sign(shown.astype(int) - 127.5), signs)


def test_no_perturbation_is_grey(outputs: Outputs) -> None:
    write(outputs, {"a": 2.0})
    clean = outputs.images.load("set", "clean")
    outputs.images.save("set", SavedImages("a", outputs.images.about("set", "a"), clean.arrays))
    (shown,) = first(outputs, "a").pictures("perturbation")
    assert np.unique(shown).tolist() == [128]


def test_large_photographs_are_coded_with_loss_and_maps_are_not(outputs: Outputs) -> None:
    write(outputs, {"a": 2.0}, [task("depth", "values", 1, unit="m")], size=(160, 160))
    page = first(outputs, "a")
    clean = outputs.images.load("set", "clean").arrays
    (photo,) = page.pictures("clean image")
    exact = np.round(clean["image"][0].transpose(1, 2, 0) * 255)
    assert np.abs(photo - exact).max() > 1
    colours = np.unique(page.pictures("depth: ground truth")[0].reshape(-1, 3), axis=0)
    assert 30 < len(colours) <= 64  # loss would invent thousands


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (7, 2)])
def test_maps_of_any_size(outputs: Outputs, size: tuple[int, int]) -> None:
    write(outputs, {"a": 2.0}, size=size)
    page = first(outputs, "a")
    assert page.pictures("segmentation: ground truth")[0].shape[:2] == size


def test_predictions_that_are_not_finite(outputs: Outputs) -> None:
    write(outputs, {"a": 2.0})
    found = outputs.images.load("set", "a")
    broken = {name: np.full_like(v, np.nan) if v.dtype == np.float32 else v for name, v in found.arrays.items()}
    outputs.images.save("set", SavedImages("a", outputs.images.about("set", "a"), broken))
    assert "not finite" in first(outputs, "a").text


def test_a_task_without_any_target(outputs: Outputs) -> None:
    write(outputs, {"a": 2.0})
    found = outputs.images.load("set", "clean")
    empty = {name: v & False if name.startswith("mask/") else v for name, v in found.arrays.items()}
    outputs.images.save("set", SavedImages("clean", outputs.images.about("set", "clean"), empty))
    page = first(outputs, "a")
    assert "does not count" in page.text
    assert "unknown" in page.text


def test_tasks_per_image_are_words(outputs: Outputs) -> None:
    write(outputs, {"a": 2.0}, [task("defect", "classes", 2, per_image=True, labels=["good", "hole"])])
    for key, logits in (("clean", [3.0, 0.0]), ("a", [0.0, 3.0])):
        found = outputs.images.load("set", key)
        changed = {**found.arrays, "prediction/defect": np.full((IMAGES, 2, 1, 1), 0, np.float32)}
        changed["prediction/defect"][:, :, 0, 0] = logits
        changed["target/defect"] = np.zeros((IMAGES, 1, 1, 1), np.uint8)
        outputs.images.save("set", SavedImages(key, outputs.images.about("set", key), changed))
    words = " ".join(first(outputs, "a").text.split())
    assert "good 0.95" in words
    assert "hole 0.95 (wrong)" in words


def test_a_cell_without_saved_images_is_counted_with_the_remedy(outputs: Outputs) -> None:
    write(outputs, {"a": 2.0})
    (note,) = gallery(outputs, "a", "old", "older").notes
    assert note.startswith("Of 2 attacks no images are shown")
    assert "save_images=8" in note


def test_nothing_saved_at_all(outputs: Outputs) -> None:
    found = gallery(outputs, "a")
    assert (found.panels, found.choice) == ((), "")
    assert len(found.notes) == 1


def test_nothing_asked_for(outputs: Outputs) -> None:
    assert gallery(outputs) == Gallery(())


def test_a_damaged_file_is_a_note_without_the_machines_path(outputs: Outputs) -> None:
    write(outputs, {"a": 2.0, "b": 2.0})
    outputs.images.path("set", "b").write_bytes(b"{}")
    found = gallery(outputs, "a", "b")
    assert found.notes[0].startswith("images/set/b.safetensors: not readable")
    assert str(outputs) not in "".join(found.notes)


def test_a_file_that_is_damaged_inside_is_said_in_its_panel(outputs: Outputs) -> None:
    write(outputs, {"a": 2.0})
    path = outputs.images.path("set", "a")
    path.write_bytes(path.read_bytes()[:-4])
    page = first(outputs, "a")
    assert "cannot be drawn: a.safetensors: not readable" in page.text
    assert str(outputs) not in page.text


def test_the_clean_half_is_missing(outputs: Outputs) -> None:
    write(outputs, {"a": 2.0})
    outputs.images.path("set", "clean").unlink()
    assert gallery(outputs, "a").notes[0].partition(":")[0] == "images/set/clean.safetensors"


def test_the_set_with_most_of_the_cells_is_taken(outputs: Outputs) -> None:
    write(outputs, {"a": 2.0, "b": 2.0})
    for key in ("a", "clean"):
        outputs.images.save("another", outputs.images.load("set", key))
    assert {panel.chosen for panel in gallery(outputs, "a", "b").panels} == {"set"}


def test_the_rule_is_said(outputs: Outputs) -> None:
    write(outputs, {"a": 2.0, "b": 2.0})
    choice = gallery(outputs, "a", "b").choice
    assert "over the 2 attacks" in choice
    assert "of 3 images: 1 hurt most, 1 in the middle, 1 hurt least" in choice


def test_what_rounding_does_is_said(outputs: Outputs) -> None:
    write(outputs, {"a": 2.0})
    about = {**outputs.images.about("set", "a"), "losses_rounded": [[2.5] * 5, [2.0] * 5, [1.8] * 5]}
    about["losses_of_cell"] = [[2.0] * 5, [2.0] * 5, [1.6] * 5]
    outputs.images.save("set", SavedImages("a", about, outputs.images.load("set", "a").arrays))
    choice = gallery(outputs, "a").choice
    assert "8 bits changes the mean loss of a task under attack by 5 %" in choice  # (0.5 + 0 - 0.2) / 3 of 2
    assert "differ from those stored by at most 25 %" in choice


def test_a_budget_keeps_the_first_and_says_so(outputs: Outputs) -> None:
    write(outputs, {"a": 2.0})
    found = gallery(outputs, "a")
    shown, sentence = found.within(found.panels[0].bytes + found.panels[1].bytes)
    assert [panel.index for panel in shown] == [0, 1]
    assert sentence.startswith("2 of 3 panels are shown")


def test_a_budget_that_is_enough(outputs: Outputs) -> None:
    write(outputs, {"a": 2.0})
    shown, sentence = gallery(outputs, "a").within(10**7)
    assert (len(shown), sentence) == (IMAGES, "")


def test_the_same_bytes_again(outputs: Outputs) -> None:
    write(outputs, {"a": 2.0})
    assert json.dumps([p.html for p in gallery(outputs, "a").panels]) == json.dumps(
        [p.html for p in gallery(outputs, "a").panels]
    )
