"""Generated parts: same numbers, same picture; masks, severities and classes that agree; MVTec AD's layout."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mtlbench.config.dataset import dataset_root
from mtlbench.data import parts
from mtlbench.data.files import read_gray8
from mtlbench.data.folder.dataset import FolderDataset
from mtlbench.data.generated import default_root, make
from mtlbench.data.parts import CLASSES, LEAST, Picture, render
from mtlbench.data.parts.defects import KINDS
from mtlbench.data.parts.part import draw
from mtlbench.data.parts.picture import NOISE
from mtlbench.data.parts.shapes import Bar, Disc, direction
from mtlbench.errors import UsageError

(FORM,) = parts.FORMS.values()
GOOD = CLASSES[0]


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    return [render(0, "train", index, 64, 64) for index in range(100)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("parts") / "p"
    make(root, FORM, 26, (32, 48), 3)
    return root


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*.png"))}


def opened(root: Path, split: str, describe: str = "parts", limit: int | None = None) -> FolderDataset:
    return FolderDataset(root, split, describe, resolution=(32, 48), limit=limit)


# --- shapes


@pytest.mark.parametrize(
    "shape", [Disc((0.1, -0.2), 0.5), Bar((0.2, 0.1), (0.5, 0.3), direction(0.1), 0.1)], ids=["disc", "bar"]
)
def test_a_distance_is_one(shape: Disc | Bar) -> None:
    """Its gradient has length 1 but where sides meet, and the inside has the area that it should have."""
    side = 401
    steps = np.linspace(-1, 1, side, dtype=np.float32)
    y, x = np.meshgrid(steps, steps, indexing="ij")
    found = shape.distance(x, y)
    slopes = np.hypot(*np.gradient(found.astype(float), 2 / (side - 1)))
    assert (np.abs(slopes - 1) < 0.02).mean() > 0.97
    area = np.pi * 0.25 if isinstance(shape, Disc) else 4 * 0.5 * 0.3 - (4 - np.pi) * 0.1**2
    assert (found < 0).mean() * 4 == pytest.approx(area, rel=0.01)


# --- pictures


def test_the_same_numbers_give_the_same_picture(pictures: list[Picture]) -> None:
    again = render(0, "train", 7, 64, 64)
    for name in ("rgb", "mask", "clean"):
        np.testing.assert_array_equal(getattr(again, name), getattr(pictures[7], name))
    assert (again.defect, again.severity) == (pictures[7].defect, pictures[7].severity)
    others = [render(1, "train", 7, 64, 64), render(0, "test", 7, 64, 64), pictures[12]]
    assert all((again.rgb != other.rgb).mean() > 0.5 for other in others)


def test_the_classes_take_turns(pictures: list[Picture]) -> None:
    """So that any first so many images are balanced."""
    assert [picture.defect for picture in pictures[:10]] == 2 * list(CLASSES)
    assert set(Counter(picture.defect for picture in pictures).values()) == {20}


def test_nothing_is_wrong_with_the_good_ones_and_something_with_all_others(pictures: list[Picture]) -> None:
    for picture in pictures:
        good = picture.defect == GOOD
        assert picture.mask.any() != good
        assert (picture.severity == 0) == good
        assert good or LEAST <= picture.severity <= 1
        assert (picture.rgb != picture.clean).any() != good
    severities = [picture.severity for picture in pictures if picture.severity]
    assert np.histogram(severities, 4, (LEAST, 1))[0].min() >= 10


def test_a_defect_is_seen_where_its_mask_is(pictures: list[Picture]) -> None:
    """More than three times as strong as the noise ever is, and hardly anything elsewhere."""
    for index, picture in enumerate(pictures):
        if picture.defect != GOOD:
            change = np.abs(picture.rgb.astype(int) - picture.clean).max(2)
            assert change[picture.mask].mean() > 3 * 255 * NOISE, index
            assert change[~picture.mask].mean() < 1, index


@pytest.mark.parametrize("kind", KINDS)
def test_a_more_severe_defect_is_larger_and_stronger(kind: str) -> None:
    steps = np.linspace(-0.7, 0.7, 141, dtype=np.float32)
    v, u = np.meshgrid(steps, steps, indexing="ij")
    areas, changes = [], []
    for severity in (LEAST, 0.4, 0.7, 1.0):
        look = KINDS[kind](severity, (0.0, 0.0), (1.0, 0.0), 5).seen(u, v, 0.01, (0.0, 1.0))
        areas.append(int((look.covered > 0.5).sum()))
        changes.append(float(np.abs(look.factor - 1).sum()))
    assert areas == sorted(set(areas))
    assert changes == sorted(set(changes))
    assert areas[-1] > 1.8 * areas[0]


def test_a_defect_lies_on_the_part() -> None:
    side, around = 128, 2 / 128
    steps = ((np.arange(side) + 0.5 - side / 2) * around).astype(np.float32)
    y, x = np.meshgrid(steps, steps, indexing="ij")
    for index in range(20):
        part = draw(np.random.default_rng([0, 0, index]))
        surface = part.distance(*part.coordinates(x, y))
        assert 0.15 < (surface < 0).mean() < 0.6
        assert (surface[render(0, "train", index, side, side).mask] < around).all()


def test_a_finer_grid_shows_the_same_part() -> None:
    for index in range(1, 15):
        coarse, fine = render(0, "train", index, 64, 64), render(0, "train", index, 192, 192)
        assert (coarse.defect, coarse.severity) == (fine.defect, fine.severity)
        assert (coarse.mask != fine.mask[1::3, 1::3]).mean() < 0.001
        assert abs(coarse.rgb.mean() - fine.rgb.mean()) < 1


@pytest.mark.parametrize(("height", "width"), [(16, 16), (16, 40), (40, 16)])
def test_the_smallest_images_still_show_every_defect(height: int, width: int) -> None:
    for index in range(40):
        picture = render(0, "test", index, height, width)
        assert picture.rgb.shape == (height, width, 3)
        assert picture.mask.any() == (picture.defect != GOOD)


def test_what_version_1_looks_like(pictures: list[Picture]) -> None:
    # Change VERSION in write.py whenever these have to change.
    assert np.mean([picture.rgb.mean() for picture in pictures]) == pytest.approx(139.434, rel=1e-3)
    assert np.mean([picture.mask.mean() for picture in pictures]) == pytest.approx(0.018848, rel=1e-3)
    assert np.mean([picture.severity for picture in pictures]) == pytest.approx(0.47384, rel=1e-3)


# --- what lies on the disk


def test_same_seed_same_bytes_and_images_do_not_depend_on_how_many_there_are(tmp_path: Path) -> None:
    for name, images, seed in (("a", 14, 1), ("b", 14, 1), ("more", 40, 1), ("other", 14, 2)):
        make(tmp_path / name, FORM, images, 24, seed)
    a, more, other = (contents(tmp_path / name) for name in ("a", "more", "other"))
    assert a == contents(tmp_path / "b")
    assert a.items() <= more.items()
    shown = [name for name in a if "ground_truth" not in name]
    assert len(shown) == 14
    assert len({a[name] for name in shown} | {other[name] for name in shown}) == 28


def test_the_layout_is_that_of_mvtec_ad(made: Path) -> None:
    assert {path.name for path in made.iterdir()} == {"train", "test", "ground_truth", "parts.csv", "parts.json"}
    assert {path.name for path in (made / "train").iterdir()} == set(CLASSES)
    assert {path.name for path in (made / "ground_truth").iterdir()} == set(CLASSES) - {GOOD}
    names = {path.relative_to(made / "test").with_suffix("").as_posix() for path in (made / "test").rglob("*.png")}
    assert names == {"good/test_00000", "scratch/test_00001"}
    mask = read_gray8(made / "ground_truth/scratch/test_00001_mask.png")
    assert (mask.dtype, mask.shape, set(np.unique(mask))) == (np.uint8, (32, 48), {0, 255})
    rows = (made / "parts.csv").read_text().splitlines()
    assert rows[:2] == ["id,split,severity", "good/train_00000,train,0.000"]
    assert rows[-1].startswith("scratch/test_00001,test,0.")
    assert len(rows) == 27


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_reader_of_folders_gives_the_pictures(made: Path, split: str) -> None:
    dataset = opened(made, split)
    assert [task.name for task in dataset.tasks] == ["defect", "mask", "severity"]
    assert [task.per_image for task in dataset.tasks] == [True, False, True]
    assert len(dataset) == {"train": 24, "test": 2}[split]
    for index in range(len(dataset)):
        picture, sample = render(3, split, index, 32, 48), dataset.sample(index)
        np.testing.assert_array_equal(np.rint(255 * sample.input.numpy()), picture.rgb.transpose(2, 0, 1))
        assert sample.targets["defect"].tolist() == [[[CLASSES.index(picture.defect)]]]
        np.testing.assert_array_equal(sample.targets["mask"][0].numpy(), picture.mask)
        assert sample.targets["severity"].item() == np.float32(picture.severity)
        assert all(bool(mask.all()) for mask in sample.masks.values())


def test_the_first_so_many_images_are_balanced(made: Path) -> None:
    dataset = opened(made, "train", limit=10)
    assert [dataset.sample(index).targets["defect"].item() for index in range(10)] == 2 * list(range(5))


def test_it_can_be_read_as_mvtec_ad_is(made: Path) -> None:
    """Good or defective, and where; the images come by class then."""
    ours, theirs = opened(made, "train"), opened(made, "train", "mvtec_ad")
    by_name = {sample.name: sample for sample in map(ours.sample, range(len(ours)))}
    assert len(theirs) == len(ours)
    for sample in map(theirs.sample, range(len(theirs))):
        own = by_name[sample.name].targets
        assert sample.targets["defect"].item() == (own["defect"].item() != 0)
        np.testing.assert_array_equal(sample.targets["mask"], own["mask"])


def test_where_it_lies() -> None:
    assert default_root(Path("out"), FORM, 2600, 64, 0) == Path("out/parts-v1-2600x64x64-s0")


@pytest.mark.parametrize("given", [{"form": "kitti"}, {"form": ["mvtec_ad"]}, {}, "mvtec_ad"])
def test_what_cannot_be_generated(given: object) -> None:
    with pytest.raises(UsageError, match=r"dataset\.make=.*expected null, or form: one of nyuv2, tiny_tax"):
        dataset_root({"dataset": {"make": given, "root": None}})
