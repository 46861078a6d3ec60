"""A room while it is being furnished: it draws random numbers and looks, and tracks occupied places."""

import colorsys
import math

import numpy as np

from mtlbench.data.rooms.scene import Camera, Colour, Material, Patch, Point, Thing
from mtlbench.data.rooms.solids import Solid

# class: patterns to choose from, range of the period in metres, usual hue, usual saturation, glow
_LOOKS: dict[str, tuple[tuple[str, ...], tuple[float, float], float, float, float]] = {
    "wall": (("plain", "plain", "noise", "stripes"), (0.5, 0.9), 0.15, 0.15, 0.0),
    "floor": (("plain", "grid", "noise", "checks"), (0.5, 0.9), 0.08, 0.35, 0.0),
    "ceiling": (("plain", "plain", "grid"), (0.6, 1.2), 0.15, 0.05, 0.0),
    "window": (("grid",), (0.4, 0.7), 0.55, 0.3, 0.5),
    "door": (("plain", "grid", "grid"), (0.5, 0.8), 0.05, 0.5, 0.0),
    "picture": (("noise", "checks"), (0.2, 0.4), 0.85, 0.6, 0.0),
    "rug": (("stripes", "checks"), (0.2, 0.35), 0.95, 0.6, 0.0),
    "table": (("plain", "noise"), (0.2, 0.4), 0.1, 0.5, 0.0),
    "cabinet": (("plain", "grid", "noise"), (0.3, 0.6), 0.07, 0.4, 0.0),
    "box": (("plain", "grid", "checks"), (0.2, 0.3), 0.3, 0.6, 0.0),
    "ball": (("plain", "stripes"), (0.15, 0.25), 0.0, 0.8, 0.0),
    "column": (("plain", "stripes", "noise"), (0.1, 0.3), 0.6, 0.2, 0.0),
    "lamp": (("plain",), (1.0, 1.0), 0.17, 0.3, 0.6),
}

USUAL = 0.6
"""Share of surfaces in their class's usual hue; the others have any hue."""


class Room:
    """An empty room with a camera, to be filled.

    Attributes:
        size: in metres, x, y and z.
        camera: where it is seen from.
        taken: circles on the floor that nothing more may touch: x, y, radius.
        patches: painted so far.
        things: put down so far.
    """

    def __init__(self, rng: np.random.Generator):
        self.rng = rng
        self.size: Point = (self.between(3.2, 6.0), self.between(3.2, 6.0), self.between(2.3, 3.1))
        self.camera = self._camera()
        self.taken = [(*self.camera.position[:2], 0.55)]
        self.patches: list[Patch] = []
        self.things: list[Thing] = []

    def between(self, low: float, high: float) -> float:
        """A number, uniform."""
        return low + (high - low) * self.rng.random()

    def pick(self, options: tuple[str, ...]) -> str:
        """One of the options, all alike."""
        return options[int(self.rng.random() * len(options))]

    def _camera(self) -> Camera:
        """Somewhere not too close to a wall, looking across the room."""
        fov, pitch = math.radians(self.between(60, 70)), self.between(-0.32, 0.0)
        while True:
            x, y = (self.between(0.4, side - 0.4) for side in self.size[:2])
            aim_x, aim_y = (side * self.between(0.2, 0.8) for side in self.size[:2])
            camera = Camera((x, y, self.between(1.1, 1.7)), math.atan2(aim_y - y, aim_x - x), pitch, fov)
            if self._wall_ahead(camera, camera.yaw)[0] > 2.2:
                return camera

    def _wall_ahead(self, camera: Camera, angle: float) -> tuple[float, int]:
        """Distance in metres from the camera to the wall at `angle`, and that wall's face."""
        walls = []
        for axis, step in enumerate((math.cos(angle), math.sin(angle))):
            gap = (self.size[axis] if step > 0 else 0.0) - camera.position[axis]
            walls.append((gap / step if abs(step) > 1e-6 else math.inf, 2 * axis + (step > 0)))
        return min(walls)

    def material(self, label: str) -> Material:
        """Random looks for a class."""
        patterns, period, hue, saturation, glow = _LOOKS[label]
        first = self._colour(hue, saturation)
        return Material(
            pattern=self.pick(patterns),
            period=self.between(*period),
            colours=(first, self._partner(first)),
            offset=(self.rng.random(), self.rng.random()),
            glow=glow * self.between(0.7, 1.3),
            noise_seed=int(self.rng.random() * 2**31),
        )

    def _colour(self, hue: float, saturation: float) -> Colour:
        """Around the usual hue and saturation, or anything."""
        if self.rng.random() < USUAL:
            hue, saturation = hue + self.between(-0.08, 0.08), saturation * self.between(0.7, 1.2)
        else:
            hue, saturation = self.rng.random(), self.between(0.05, 0.55)
        return colorsys.hsv_to_rgb(hue % 1, saturation, self.between(0.45, 0.95))

    def _partner(self, colour: Colour) -> Colour:
        """A darker or lighter colour of about the same hue."""
        hue, saturation, value = colorsys.rgb_to_hsv(*colour)
        value *= self.between(0.55, 0.75) if value > 0.6 else self.between(1.3, 1.6)
        return colorsys.hsv_to_rgb((hue + self.between(-0.1, 0.1)) % 1, saturation, min(value, 1.0))

    def look(self) -> tuple[float, float, float, int, float]:
        """A direction inside the view and the wall it ends on.

        Returns:
            cosine and sine of the direction, distance to the wall in metres, the wall's face, and where
            along the wall.
        """
        angle = self.camera.yaw + self.camera.fov * self.between(-0.45, 0.45)
        step = (math.cos(angle), math.sin(angle))
        reach, face = self._wall_ahead(self.camera, angle)
        along = 1 - face // 2
        return *step, reach, face, self.camera.position[along] + reach * step[along]

    def claim(self, x: float, y: float, radius: float) -> bool:
        """Reserve a round place on the floor, unless it is taken or leaves the room."""
        inside = radius <= x <= self.size[0] - radius and radius <= y <= self.size[1] - radius
        if not inside or any(math.hypot(x - a, y - b) < radius + r for a, b, r in self.taken):
            return False
        self.taken.append((x, y, radius))
        return True

    def spot(self, radius: float) -> tuple[float, float] | None:
        """A free round place on the floor in view."""
        cosine, sine, reach, _, _ = self.look()
        away = self.between(1.2, max(1.2, reach - radius))
        x, y = self.camera.position[0] + away * cosine, self.camera.position[1] + away * sine
        return (x, y) if self.claim(x, y, radius) else None

    def add(self, label: str, *solids: Solid) -> None:
        """Add one object made of several solids of one look."""
        material = self.material(label)
        self.things.extend(Thing(label, solid, material) for solid in solids)

    def paint(self, label: str, face: int, low: tuple[float, float], high: tuple[float, float]) -> bool:
        """Add a patch unless it leaves the face or touches another one there."""
        axes = [axis for axis in range(3) if axis != face // 2]
        if any(low[i] < 0 or high[i] > self.size[axis] for i, axis in enumerate(axes)):
            return False
        for other in self.patches:
            if other.face == face and all(low[i] < other.high[i] and high[i] > other.low[i] for i in (0, 1)):
                return False
        self.patches.append(Patch(label, face, low, high, self.material(label)))
        return True
