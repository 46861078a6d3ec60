"""The description of a room: a few numbers, no pixels.

World axes: x and y along the floor, z up, metres; the room fills [0, size]. Angles in radians.
"""

from dataclasses import dataclass

from mtlbench.data.rooms.solids import Solid

CLASSES = (
    "wall",
    "floor",
    "ceiling",
    "window",
    "door",
    "picture",
    "rug",
    "table",
    "cabinet",
    "box",
    "ball",
    "column",
    "lamp",
)
"""The 13 segmentation classes; a class id is a position in this tuple."""

CLASS_ID = {name: index for index, name in enumerate(CLASSES)}

Point = tuple[float, float, float]
Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Material:
    """The look of a surface.

    Attributes:
        pattern: a key of `mtlbench.data.rooms.textures.PATTERNS`.
        period: length of one repetition of the pattern in metres.
        colours: the two RGB colours in [0, 1] that the pattern mixes.
        offset: where the pattern starts, two numbers in periods.
        glow: light that the surface gives off by itself, 0 for none.
        noise_seed: which noise field the pattern ``noise`` shows.
    """

    pattern: str
    period: float
    colours: tuple[Colour, Colour]
    offset: tuple[float, float]
    glow: float
    noise_seed: int


@dataclass(frozen=True)
class Patch:
    """A rectangle painted on a face of the room: a window, a door, a picture, a rug.

    `face` is 2 * axis + (1 for the far side); `low` and `high` are corners along the two other axes.
    """

    label: str
    face: int
    low: tuple[float, float]
    high: tuple[float, float]
    material: Material


@dataclass(frozen=True)
class Thing:
    """A solid with its class and its looks. Furniture may consist of several things of one class."""

    label: str
    solid: Solid
    material: Material


@dataclass(frozen=True)
class Camera:
    """A pinhole at `position`; `yaw` from the x axis, `pitch` above the horizon, `fov` horizontal."""

    position: Point
    yaw: float
    pitch: float
    fov: float


@dataclass(frozen=True)
class Light:
    """A point light of a colour and a strength, and a share that reaches every place alike."""

    position: Point
    colour: Colour
    strength: float
    ambient: float


@dataclass(frozen=True)
class Scene:
    """A furnished room, a camera in it, a light."""

    size: Point
    faces: tuple[Material, ...]
    patches: tuple[Patch, ...]
    things: tuple[Thing, ...]
    camera: Camera
    light: Light
