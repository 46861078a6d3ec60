"""The images of a Tiny-Taxonomy folder, from its list file or from the folders themselves.

Two formats exist. AdaShare, TreeMTL and MTLAttack-DGBA (the reference):

    <root>/taskonomy.json                                  {"train": [[six paths], ...], "test": [...]}
    <root>/{train,test}/<building>/<domain>/point_<p>_view_<v>_domain_<suffix>.png

and the official download (omnidata-tools), whose split is a published list of buildings:

    <root>/<domain>/taskonomy/<building>/point_<p>_view_<v>_domain_<suffix>.png
"""

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mtlbench.data.left_out import LeftOut, NotThere
from mtlbench.data.listed import Entry, contents, files_by_image, is_folder, read_split
from mtlbench.errors import DataError, MissingSplitError, UsageError

LIST_FILE = "taskonomy.json"
DOMAINS = ("rgb", "segment_semantic", "normal", "depth_zbuffer", "keypoints2d", "edge_texture")

# The "tiny" subset of Taxonomy: 25 / 5 / 5 buildings (woodbine can no longer be downloaded).
_TRAIN = """
    hanson merom klickitat onaga leonardo marstons newfields pinesdale lakeville cosmos benevolence pomaria
    tolstoy shelbyville allensville wainscott beechwood coffeen stockman hiteman woodbine lindenwood forkland
    mifflinburg ranchester
"""
BUILDINGS = {
    "train": tuple(_TRAIN.split()),
    "val": ("wiconisco", "corozal", "collierville", "markleeville", "darden"),
    "test": ("ihlen", "muleshoe", "uvalda", "noxapater", "mcdade"),
}

KNOWN_BAD = {
    ("newfields", "point_1070_view_8"): "published rgb file fails its checksum (omnidata issue 7)",
    ("muleshoe", "point_399_view_5"): "damaged in the published download; other loaders leave it out too",
}


@dataclass(frozen=True)
class Listing:
    """The images of one split.

    Attributes:
        source: the list file, or the folder that was searched.
        entries: per image, six paths relative to the root, in the order of `DOMAINS`.
        names: per image, its first path as listed, with ``-`` for ``/``, as in the reference.
        skipped: images that are left out, missing buildings, and the reasons.
    """

    source: Path
    entries: list[Entry]
    names: list[str]
    skipped: list[LeftOut]


def list_images(root: Path, split: str, follow_links: bool = False) -> Listing:
    """List the images of `split`, detecting the format of `root`.

    A list file is used as it is, apart from `KNOWN_BAD`; a folder without one is searched, and an image is listed if
    all six files exist; the missing files of the others are recorded. Searched images are sorted by path.

    Raises:
        MissingSplitError: the format is recognised, but the folder holds nothing of this split.
        DataError: the format is not recognised, the list is malformed, or no image is complete.
        UsageError: the official download has no such split.
    """
    if os.path.lexists(root / LIST_FILE):
        entries = read_split(root / LIST_FILE, split, len(DOMAINS), follow_links)
        folder = _entry_folder(root, split, entries)
        return _without_known_bad(root / LIST_FILE, folder, entries)
    if split in BUILDINGS and is_folder(root / split):
        buildings = sorted(child.name for child in (root / split).iterdir() if is_folder(child))
        if not buildings:
            raise MissingSplitError(f"{root / split}: no building here; the folder holds {contents(root / split)}")
        return _searched(root, split, {b: {d: f"{split}/{b}/{d}" for d in DOMAINS} for b in buildings})
    if is_folder(root / "rgb" / "taskonomy"):
        if split not in BUILDINGS:
            raise UsageError(f"dataset.split={split}: the official download has {', '.join(BUILDINGS)}")
        present = sorted(b for b in BUILDINGS[split] if any(is_folder(root / d / "taskonomy" / b) for d in DOMAINS))
        if not present:
            known = ", ".join(BUILDINGS[split][:3])
            raise MissingSplitError(f"{root}: no building of split {split!r} is here, such as {known}")
        listing = _searched(root, split, {b: {d: f"{d}/taskonomy/{b}" for d in DOMAINS} for b in present})
        absent = (b for b in BUILDINGS[split] if b not in present)
        listing.skipped.extend(NotThere(b, "building not downloaded") for b in absent)
        return listing
    there = [other for other in BUILDINGS if (root / other).is_dir()]
    if split in BUILDINGS and there:
        raise MissingSplitError(f"{root}: no folder {split}/ here; of this dataset it holds {'/, '.join(there)}/ only")
    raise DataError(
        f"{root}: neither {LIST_FILE}, nor {split}/<building>/rgb/, nor rgb/taskonomy/<building>/ is here; "
        f"the folder holds {contents(root)}"
    )


def _entry_folder(root: Path, split: str, entries: list[Entry]) -> str:
    """The folder that entries are relative to: train or test in the reference, the root in AdaShare."""
    candidates = ["train/" if split.startswith("train") else "test/", f"{split}/", ""]
    for entry in entries:
        for folder in candidates:
            if (root / folder / entry[0]).is_file():
                return folder
    tried = " nor ".join(str(root / folder / entries[0][0]) for folder in dict.fromkeys(candidates))
    raise DataError(f"{root / LIST_FILE}: not one image of split {split!r} exists; neither {tried}")


def _without_known_bad(source: Path, folder: str, entries: list[Entry]) -> Listing:
    listing = Listing(source, [], [], [])
    for entry in entries:
        parts = PurePosixPath(entry[0]).parts
        view = parts[-1].partition("_domain_")[0]
        reason = next((KNOWN_BAD[b, view] for b in parts[:-1] if (b, view) in KNOWN_BAD), None)
        if reason:
            listing.skipped.append(LeftOut(entry[0], reason))
        else:
            listing.entries.append(tuple(folder + path for path in entry))
            listing.names.append(entry[0].replace("/", "-"))
    return listing


def _searched(root: Path, split: str, folders: dict[str, dict[str, str]]) -> Listing:
    """List the complete images of `folders`: building -> domain -> folder relative to the root."""
    listing = Listing(root, [], [], [])
    for building, domains in folders.items():
        files = {domain: files_by_image(root / folder, ".png", "_domain_") for domain, folder in domains.items()}
        for view in sorted(set().union(*files.values())):
            missing = [domain for domain in DOMAINS if view not in files[domain]]
            reason = f"no {', '.join(missing)} file" if missing else KNOWN_BAD.get((building, view))
            if reason:
                listing.skipped.append(LeftOut(f"{building}/{view}", reason))
            else:
                listing.entries.append(tuple(f"{domains[d]}/{files[d][view]}" for d in DOMAINS))
                listing.names.append(f"{building}-rgb-{files['rgb'][view]}")
    if not listing.entries:
        detail = f"; {listing.skipped[0][0]}: {listing.skipped[0][1]}" if listing.skipped else ""
        raise DataError(f"{root}: no image of split {split!r} has all of {', '.join(DOMAINS)}{detail}")
    return listing
