"""``save_images``: which files an attack leaves, and that nothing else changes."""

import errno
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mtlbench.storage.images import Images, SavedImages
from mtlbench.storage.outputs import Outputs
from tests.running import Result

EPS = 8


@pytest.fixture
def attack(call: Callable[..., Result], own_outputs: Path, small: tuple[str, ...]) -> Callable[..., Result]:
    """The attack whose cells are stored already."""
    return lambda *more: call("attack", f"outputs={own_outputs}", *small, "eps=[2,8]", *more)


def files(outputs: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (outputs / "images").glob("*/*")}


def saved(outputs: Path) -> dict[float, SavedImages]:
    """Epsilon -> images of the attack."""
    folder = Outputs(outputs)
    ((name, keys),) = folder.images.sets().items()
    return {folder.store.load(key).identity["eps"]: folder.images.load(name, key) for key in keys}


def test_a_file_a_cell(attack: Callable[..., Result], own_outputs: Path) -> None:
    assert attack("save_images=2").status == 0
    assert {path.removesuffix(".safetensors") for path in files(own_outputs)} == set(Outputs(own_outputs).store.keys())


def test_an_attack_that_climbs_metrics_is_saved_as_well(attack: Callable[..., Result], own_outputs: Path) -> None:
    """It needs the metrics' clean values, as when its cells were computed."""
    assert attack("attack=smooth_arp", "save_images=1").status == 0
    assert {one.about["over"] for one in saved(own_outputs).values()} == {2}


def test_without_the_option_nothing_is_saved(attack: Callable[..., Result], own_outputs: Path) -> None:
    assert attack().status == attack("save_images=0").status == 0
    assert not (own_outputs / "images").exists()


def test_stored_cells_stay_as_they_are(attack: Callable[..., Result], own_outputs: Path) -> None:
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (own_outputs / "store").glob("*.npz")}
    attack("save_images=2")
    assert before == {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in (own_outputs / "store").glob("*.npz")}


def test_perturbations_stay_inside_of_the_ball(attack: Callable[..., Result], own_outputs: Path) -> None:
    attack("save_images=3")
    found = saved(own_outputs)
    moved = {eps: np.abs(one.arrays["image"] - found[0.0].arrays["image"]).max() * 255 for eps, one in found.items()}
    rounding = 255 * np.finfo(np.float32).eps
    assert all(moved[eps] <= eps + rounding for eps in moved)
    assert moved[EPS] > EPS / 2


def test_they_are_the_images_of_the_cells(attack: Callable[..., Result], own_outputs: Path) -> None:
    attack("save_images=3")
    for one in saved(own_outputs).values():
        found, stored = (np.array(one.about[name]) for name in ("losses", "losses_of_cell"))
        np.testing.assert_allclose(found, stored, rtol=1e-5)  # three images at once, and not in the block of the pass


def test_what_is_kept_of_each_task(attack: Callable[..., Result], own_outputs: Path) -> None:
    attack("save_images=2")
    clean = saved(own_outputs)[0.0].arrays
    assert {name: array.shape[1] for name, array in clean.items()} == {
        "image": 3,
        **{f"{kind}/segmentation": 1 for kind in ("prediction", "target", "mask")},
        "prediction/normals": 3,
        "target/normals": 3,
        "mask/normals": 1,
        **{f"{kind}/depth": 1 for kind in ("prediction", "target", "mask")},
    }


def test_what_a_killed_run_did_not_save_is_saved_by_the_next(
    attack: Callable[..., Result], own_outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attack("save_images=2")
    whole = files(own_outputs)
    for path in (own_outputs / "images").glob("*/*"):
        path.unlink()
    save = Images.save

    def once(images: Images, chosen: str, one: SavedImages) -> Path:
        if files(own_outputs):
            raise OSError(errno.ENOSPC, "No space left on device", str(own_outputs / "images"))
        return save(images, chosen, one)

    with monkeypatch.context() as patched:
        patched.setattr(Images, "save", once)
        stopped = attack("save_images=2")
    assert (stopped.status, "No space left" in stopped.err, "ARP" in stopped.out) == (3, True, True)
    assert len(files(own_outputs)) == 1
    attack("save_images=2")
    assert files(own_outputs) == whole


def test_only_what_is_missing_is_computed(attack: Callable[..., Result], own_outputs: Path) -> None:
    attack("save_images=2")
    assert "images of" not in attack("save_images=2").err


def test_another_choice_is_another_set(attack: Callable[..., Result], own_outputs: Path) -> None:
    attack("save_images=2")
    attack("save_images=1")
    assert len(Outputs(own_outputs).images.sets()) == 2


def test_without_an_attack_there_is_no_damage_to_choose_by(
    call: Callable[..., Result], own_outputs: Path, small: tuple[str, ...]
) -> None:
    done = call("attack", f"outputs={own_outputs}", *small[:-1], "attack=none", "save_images=2")
    assert "save_images=2: no attack is stored" in done.err
    assert not (own_outputs / "images").exists()


@pytest.mark.parametrize("value", ["-1", "some", "1.5", "1001"])
def test_a_wrong_number_is_refused(attack: Callable[..., Result], value: str) -> None:
    refused = attack(f"save_images={value}")
    assert (refused.status, f"save_images={value}" in refused.err) == (2, True)


def test_depth_is_kept_in_metres(call: Callable[..., Result], tmp_path: Path, small: tuple[str, ...]) -> None:
    """The targets of five rooms are logarithms."""
    done = call("attack", "outputs=five", "dataset=rooms5", *small, "eps=8", "save_images=1")
    assert done.status == 0, done.err
    clean = saved(tmp_path / "five")[0.0]
    depth = clean.arrays["target/depth"][clean.arrays["mask/depth"]]
    assert {task["name"]: task["unit"] for task in clean.about["tasks"]}["depth"] == "m"
    assert 0.5 < depth.min() < depth.max() < 15
    assert depth.max() > 1.5
