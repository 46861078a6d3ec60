"""Furnish a room at random: from a random generator to a `Scene`.

Texture and colour tell something about the class but not all, so a model has to look at shape and place.
"""

import numpy as np

from mtlbench.data.rooms.furniture import OBJECTS
from mtlbench.data.rooms.room import Room
from mtlbench.data.rooms.scene import Light, Scene

MAX_OBJECTS = 8


def draw(rng: np.random.Generator) -> Scene:
    """A random room with a camera and up to 8 objects in front of it."""
    room = Room(rng)
    wall, floor, ceiling = (room.material(label) for label in ("wall", "floor", "ceiling"))
    for _ in range(4 + int(rng.random() * (MAX_OBJECTS - 3))):
        place = OBJECTS[int(rng.random() * len(OBJECTS))]
        for _attempt in range(8):
            if place(room):
                break
    light = Light(
        position=(
            room.size[0] * room.between(0.25, 0.75),
            room.size[1] * room.between(0.25, 0.75),
            room.size[2] - 0.25,
        ),
        colour=(1.0, room.between(0.9, 1.0), room.between(0.8, 1.0)),
        strength=room.between(0.9, 1.3),
        ambient=room.between(0.25, 0.4),
    )
    return Scene(
        size=room.size,
        faces=(wall, wall, wall, wall, floor, ceiling),
        patches=tuple(room.patches),
        things=tuple(room.things),
        camera=room.camera,
        light=light,
    )
