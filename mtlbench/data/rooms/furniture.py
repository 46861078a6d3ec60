"""The ten kinds of objects: each function tries one random place in the room and says whether it was free."""

import math
from collections.abc import Callable

from mtlbench.data.rooms.room import Room
from mtlbench.data.rooms.solids import Ball, Box, Frustum


def _on_wall(room: Room, label: str, width: float, bottom: float, height: float) -> bool:
    _, _, _, face, along = room.look()
    return room.paint(label, face, (along - width / 2, bottom), (along + width / 2, bottom + height))


def _window(room: Room) -> bool:
    return _on_wall(room, "window", room.between(0.8, 1.6), room.between(0.8, 1.0), room.between(0.9, 1.2))


def _door(room: Room) -> bool:
    return _on_wall(room, "door", room.between(0.75, 1.0), 0.0, room.between(1.9, 2.1))


def _picture(room: Room) -> bool:
    return _on_wall(room, "picture", room.between(0.5, 1.0), room.between(1.1, 1.4), room.between(0.5, 0.8))


def _rug(room: Room) -> bool:
    cosine, sine, reach, _, _ = room.look()
    away = reach * room.between(0.4, 0.8)
    middle = (room.camera.position[0] + away * cosine, room.camera.position[1] + away * sine)
    half = (room.between(0.5, 1.1), room.between(0.5, 1.1))
    low = (max(middle[0] - half[0], 0.05), max(middle[1] - half[1], 0.05))
    high = (min(middle[0] + half[0], room.size[0] - 0.05), min(middle[1] + half[1], room.size[1] - 0.05))
    return room.paint("rug", 4, low, high)


def _table(room: Room) -> bool:
    half_x, half_y = room.between(0.4, 0.75), room.between(0.3, 0.45)
    place = room.spot(math.hypot(half_x, half_y))
    if place is None:
        return False
    height, yaw = room.between(0.65, 0.8), room.between(0, math.pi)
    x, y = place
    leg_x, leg_y = math.cos(yaw) * (half_x - 0.08), math.sin(yaw) * (half_x - 0.08)
    leg = (0.03, half_y - 0.05, height / 2 - 0.03)
    room.add(
        "table",
        Box((x, y, height - 0.03), (half_x, half_y, 0.03), yaw),
        Box((x + leg_x, y + leg_y, leg[2]), leg, yaw),
        Box((x - leg_x, y - leg_y, leg[2]), leg, yaw),
    )
    return True


def _cabinet(room: Room) -> bool:
    """Stands with its back to a wall."""
    _, _, _, face, along = room.look()
    axis = face // 2
    depth, width, height = room.between(0.3, 0.55), room.between(0.6, 1.3), room.between(0.7, 2.0)
    centre = [along, along, height / 2]
    centre[axis] = room.size[axis] - depth / 2 if face % 2 else depth / 2
    half = [width / 2, width / 2, height / 2]
    half[axis] = depth / 2
    fits = width / 2 <= along <= room.size[1 - axis] - width / 2
    radius = math.hypot(width, depth) / 2
    if not fits or any(math.hypot(centre[0] - a, centre[1] - b) < radius + r for a, b, r in room.taken):
        return False
    room.taken.append((centre[0], centre[1], radius))
    room.add("cabinet", Box((centre[0], centre[1], centre[2]), (half[0], half[1], half[2])))
    return True


def _box(room: Room) -> bool:
    half = (room.between(0.2, 0.38), room.between(0.2, 0.38), room.between(0.18, 0.32))
    place = room.spot(math.hypot(half[0], half[1]))
    if place is None:
        return False
    room.add("box", Box((*place, half[2]), half, room.between(0, math.pi)))
    return True


def _ball(room: Room) -> bool:
    radius = room.between(0.2, 0.42)
    place = room.spot(radius)
    if place is None:
        return False
    room.add("ball", Ball((*place, radius), radius))
    return True


def _column(room: Room) -> bool:
    radius = room.between(0.1, 0.22)
    place = room.spot(radius)
    if place is None:
        return False
    room.add("column", Frustum((*place, 0.0), room.size[2], radius, radius))
    return True


def _lamp(room: Room) -> bool:
    radius = room.between(0.18, 0.28)
    place = room.spot(radius)
    if place is None:
        return False
    height, shade = room.between(1.1, 1.6), room.between(0.25, 0.4)
    room.add(
        "lamp",
        Frustum((*place, 0.0), 0.04, radius * 0.8, radius * 0.8),
        Frustum((*place, 0.0), height, 0.04, 0.04),
        Frustum((*place, height), shade, radius, radius * 0.55),
    )
    return True


OBJECTS: tuple[Callable[[Room], bool], ...] = (
    _window,
    _door,
    _picture,
    _rug,
    _table,
    _cabinet,
    _box,
    _ball,
    _column,
    _lamp,
)
