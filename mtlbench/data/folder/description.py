"""The description of a dataset, checked key by key. It is data: nothing in it is ever executed.

    image:  {file: "images/{id}.png"}
    splits: {train: gt_sets/train.txt, test: gt_sets/val.txt}
    tasks:
      segmentation: {kind: classes, file: "segmentation/{id}.png", classes: 40, offset: -1, ignore: [0]}
      depth: {kind: depth, file: "depth/{id}.png", scale: 0.001, valid: [0.1, 10]}

docs/datasets.md has every key.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from mtlbench.data.folder.encoding import KEYS as ENCODING
from mtlbench.data.folder.encoding import Encoding
from mtlbench.data.folder.keys import Keys
from mtlbench.data.folder.places import PLACE, Place, Split, Table
from mtlbench.errors import UsageError
from mtlbench.identity import as_json
from mtlbench.options import is_whole, near
from mtlbench.storage.bounded import read_yaml

CLASSES, NORMALS, DEPTH, REGRESSION, ATTRIBUTES = "classes", "normals", "depth", "regression", "attributes"
MOST_CLASSES = 254
"""Most classes of a map: ids are bytes, and 255 means ignore."""

TABLE = ("csv", "key", "header")
KINDS: dict[str, tuple[str, ...]] = {
    CLASSES: (*PLACE, *TABLE, "from", "classes", "map", "offset", "ignore", "layout", "channel", "bits", "palette"),
    NORMALS: (*PLACE, *ENCODING, "mirror"),
    DEPTH: (*PLACE, *ENCODING, "unit", "inverse", "metrics"),
    REGRESSION: (*PLACE, *TABLE, *ENCODING, "columns", "channels", "unit", "mirror", "metrics"),
    ATTRIBUTES: (*TABLE, "columns"),
}
"""Kind of a task -> its keys, beside `kind` and `missing`."""

OPTION, UNNAMED = "dataset.describe", "folder"
NOT_OF_INVERSE = "rel_err and the deltas of inverse depth are other quantities than those of depth"
KNOWN = Path(__file__).parent / "known"
"""Ready descriptions."""


@dataclass(frozen=True)
class Image:
    """The image: its place, its encoding, and the stored values of black and white."""

    place: Place
    encoding: Encoding
    range: tuple[float, float] | None = None


@dataclass(frozen=True)
class Target:
    """A task: the place and the encoding of its values.

    Attributes:
        name: of the task.
        kind: one of `KINDS`.
        place: of the file of each image; None for values of whole images.
        table: the text file that holds the values; else None.
        encoding: of the file's values.
        classes: names of the classes, or of the attributes.
        map: stored value, or ``*`` for all others -> class id, or None for ignore.
        channels: of a regression.
        unit: as written; empty for none.
        inverse: whether depth is inverse depth.
        mirror: the channel that is negated when the image is mirrored.
        missing: the value for an image without a file, or ``ignore``; None if that is an error.
        metrics: its metrics, if any are named.
    """

    name: str
    kind: str
    place: Place | None = None
    table: Table | None = None
    encoding: Encoding = field(default_factory=Encoding)
    classes: tuple[str, ...] = ()
    map: tuple[tuple[str, int | None], ...] = ()
    channels: int = 1
    unit: str = ""
    inverse: bool = False
    mirror: int | None = None
    missing: float | str | None = None
    metrics: tuple[str, ...] = ()

    @property
    def per_image(self) -> bool:
        """Whether it has one value per image."""
        return self.place is None


@dataclass(frozen=True)
class Description:
    """A dataset.

    Attributes:
        source: the file, or a substitute for messages.
        root: the folder that it names, or None.
        image: see `Image`.
        splits: by name.
        targets: one for each task.
    """

    source: str
    root: Path | None
    image: Image
    splits: Mapping[str, Split]
    targets: tuple[Target, ...]

    @property
    def name(self) -> str:
        """The default name of its dataset: the name of its file, in valid characters."""
        if self.source == OPTION:
            return UNNAMED
        return re.sub(r"[^\w.-]", "_", Path(self.source).stem, flags=re.ASCII)[:60].lstrip(".-") or UNNAMED

    def settings(self) -> dict[str, object]:
        """Everything that affects a sample, as JSON values: without the root and the name of the file."""
        return {
            "image": _said(asdict(self.image)),
            "splits": {name: _said(asdict(split)) for name, split in self.splits.items()},
            "tasks": {target.name: _said(asdict(target)) for target in self.targets},
        }


def read_description(where: object) -> Description:
    """A description.

    Args:
        where: a yaml file, the name of one of `KNOWN`, or its content.

    Raises:
        UsageError: it does not exist or is wrong; the message names file, key and value.
    """
    if isinstance(where, Mapping):
        return _description(where, OPTION, Path())
    if where is None or not str(where).strip():
        shown = "null" if where is None else where
        raise UsageError(f"{OPTION}={shown}: expected a yaml file of yours, or one of {', '.join(known())}")
    text = str(where)
    if text in known():
        path = KNOWN / f"{text}.yaml"
    elif text.endswith((".yaml", ".yml")):
        path = Path(text).expanduser()
    else:
        raise UsageError(
            f"{OPTION}={text}: expected a file that ends in .yaml, or one of {', '.join(known())}{near(text, known())}"
        )
    return _description(read_yaml(path, UsageError), str(path), path.parent)


def known() -> list[str]:
    """Names of the ready descriptions."""
    return sorted(file.stem for file in KNOWN.glob("*.yaml"))


def _description(value: object, source: str, folder: Path) -> Description:
    keys = Keys(value, source, "", ("root", "image", "splits", "tasks"))
    for needed in ("image", "splits", "tasks"):
        if needed not in keys:
            raise UsageError(f"{source}: no {needed}; expected image, splits and tasks")
    splits, tasks = keys.get("splits"), keys.get("tasks")
    for name, part in (("splits", splits), ("tasks", tasks)):
        if not isinstance(part, Mapping) or not part or not all(_is_name(key) for key in part):
            keys.refuse(name, "expected a mapping of names of letters, digits and _ to what they are")
    return Description(
        source=source,
        root=folder / keys.text("root", "/data") if "root" in keys else None,
        image=_image(keys.get("image"), source),
        splits={name: Split.of(split, source, name) for name, split in splits.items()},
        targets=tuple(_target(task, source, name) for name, task in tasks.items()),
    )


def _image(value: object, source: str) -> Image:
    keys = Keys(value, source, "image", (*PLACE, "range", "layout", "order", "bits", "palette"))
    if "palette" in keys:
        keys.refuse("palette", "indices of a palette are no image; convert it to RGB")
    order = keys.get("order")
    if order is not None and sorted(map(str, order)) != ["0", "1", "2"]:
        keys.refuse("order", "expected positions of red, green and blue, such as [2, 1, 0]")
    bounds = keys.pair("range", "[0, 1]") if "range" in keys else None
    return Image(Place.of(keys), Encoding.of(keys), bounds)


def _target(value: object, source: str, name: str) -> Target:
    at = f"tasks.{name}"
    every = tuple(dict.fromkeys(("kind", "missing", *(key for keys in KINDS.values() for key in keys))))
    keys = Keys(value, source, at, every)
    if name == "image":
        keys.refuse("", "image is the image; expected another name for a task", value)
    kind = keys.choice("kind", tuple(KINDS), "") if "kind" in keys else keys.refuse("kind", f"expected {_kinds()}")
    Keys(value, source, at, ("kind", "missing", *KINDS[kind]))
    per_image = kind == ATTRIBUTES or "from" in keys or "csv" in keys
    if per_image and any(key in keys for key in (*ENCODING, "file", "missing")):
        keys.refuse("", "from and csv give one value for the whole image: leave file, missing and encodings", value)
    if not per_image and any(key in keys for key in ("key", "header", "columns")):
        keys.refuse("", "key, header and columns belong to a table: csv: labels.csv", value)
    classes = _classes(keys, kind, per_image)
    mapped = _map(keys, classes)
    if mapped and any(key in keys for key in ("scale", "offset")):
        keys.refuse("", "map and offset both say what the stored values stand for; expected one of them", value)
    inverse, metrics = keys.flag("inverse"), keys.items("metrics", "a list of metrics", lambda m: isinstance(m, str))
    if inverse and any(metric.startswith(("rel_err", "delta")) for metric in metrics):
        keys.refuse("metrics", f"{NOT_OF_INVERSE}; expected [abs_err], or inverse: false")
    table = Table.of(keys, several=kind != CLASSES) if per_image and "from" not in keys else None
    return Target(
        name=name,
        kind=kind,
        place=None if per_image else Place.of(keys),
        table=table,
        encoding=Encoding.of(keys, bits=16 if kind == DEPTH else 8),
        classes=tuple(map(str, table.columns)) if kind == ATTRIBUTES and table is not None else classes,
        map=mapped,
        channels=_channels(keys, kind, table),
        unit=keys.text("unit", "m") if "unit" in keys else "",
        inverse=inverse,
        mirror=_mirror(keys, kind),
        missing=_missing(keys),
        metrics=metrics,
    )


def _classes(keys: Keys, kind: str, per_image: bool) -> tuple[str, ...]:
    """Names of the classes; their numbers where there are no names."""
    if kind != CLASSES:
        return ()
    most = 100_000 if per_image else MOST_CLASSES
    value, expected = keys.get("classes"), f"their number, or a list of their names, each once; 2 to {most}"
    if is_whole(value, 2) and value <= most:
        names = tuple(map(str, range(value)))
    else:
        names = tuple(map(str, keys.items("classes", expected, lambda part: isinstance(part, (str, int)))))
    if not 2 <= len(names) <= most or len(set(names)) < len(names):
        keys.refuse("classes", f"expected {expected}")
    if "from" in keys and keys.get("from") != "folder":
        keys.refuse("from", "expected folder: the class is the name of the image's folder")
    if "from" in keys and any(key in keys for key in ("csv", "key", "column")):
        keys.refuse("", "expected one of from and csv", dict(keys.values))
    return names


def _map(keys: Keys, classes: tuple[str, ...]) -> tuple[tuple[str, int | None], ...]:
    value = keys.get("map")
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        keys.refuse("map", "expected stored value: class, such as {7: 0, 8: 1, '*': ignore}")
    found: list[tuple[str, int | None]] = []
    for stored, meant in value.items():
        if meant == "ignore":
            found.append((str(stored), None))
        elif is_whole(meant, 0) and meant < len(classes):
            found.append((str(stored), meant))
        elif str(meant) in classes:
            found.append((str(stored), classes.index(str(meant))))
        else:
            keys.refuse("map", f"{stored}: {meant} is no class; expected 0 to {len(classes) - 1}, a name, or ignore")
    return tuple(found)


def _channels(keys: Keys, kind: str, table: Table | None) -> int:
    if table is not None:
        return len(table.columns)
    if kind == NORMALS:
        return 3
    return keys.whole("channels", 1, 1000) if "channels" in keys else 1


def _mirror(keys: Keys, kind: str) -> int | None:
    """For normals by default the first one, which points right."""
    if keys.get("mirror") == "none" or ("mirror" not in keys and kind != NORMALS):
        return None
    return keys.whole("mirror", 0, 2 if kind == NORMALS else 999) if "mirror" in keys else 0


def _missing(keys: Keys) -> float | str | None:
    value = keys.get("missing")
    if value is None or value == "ignore":
        return None if value is None else "ignore"
    inner = Keys(value, keys.source, f"{keys.at}.missing", ("value",))
    return inner.number("value")


def _kinds() -> str:
    return ", ".join(KINDS)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isidentifier() and len(value) <= 40


def _said(part: Mapping[str, Any]) -> dict[str, Any]:
    """The values that differ from the defaults, with numbers in a canonical form."""
    out = {}
    for key, value in part.items():
        if isinstance(value, Mapping):
            value = _said(value)
        elif isinstance(value, Fraction):
            value = None if value == _NEUTRAL.get(key) else str(value)
        elif value == _NEUTRAL.get(key):
            value = None
        if value is not None and value is not False and value not in ("", (), {}):
            out[key] = as_json(value)
    return out


_NEUTRAL: dict[str, object] = {"scale": 1, "offset": 0, "layout": "hwc", "bits": 8, "channels": 1}
