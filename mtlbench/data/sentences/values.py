"""Slots and the values that they may have.

Cities stand in several slots, and titles are made of words that mean something elsewhere: what a word is, its
neighbours tell. Frequent values come first, see `drawn`.
"""

import numpy as np


def _of(text: str) -> tuple[str, ...]:
    """Values separated by commas."""
    return tuple(value.strip() for value in text.split(","))


CITIES = _of(
    "boston, denver, paris, london, rome, tokyo, berlin, madrid, oslo, lisbon, vienna, dublin, chicago, seattle, "
    "austin, miami, prague, athens, cairo, lima, sydney, toronto, helsinki, new york, san francisco, cape town, "
    "buenos aires, los angeles, hong kong, kansas city"
)
DATES = _of(
    "today, tomorrow, tonight, monday, tuesday, wednesday, thursday, friday, saturday, sunday, next week, "
    "this weekend, next monday, the day after tomorrow, on friday, in two days, next month, this evening, "
    "early tomorrow, on the second of may"
)
TIMES = _of("noon, midnight, seven, eight, nine, 7 am, 8 pm, half past six, a quarter to ten, 6 30")
NUMBERS = _of("two, three, four, five, six, seven, eight, 2, 3, 4, 10, a dozen")
AIRLINES = _of("northwing, albatross, skyline, meridian, bluejay, transpolar, silver crane, air nordica")
CLASSES = _of("economy, business, first, premium economy, coach")
CUISINES = _of("italian, thai, indian, greek, french, mexican, vegan, korean, sea food, middle eastern")
VENUES = _of("restaurant, diner, bistro, tavern, pub, pizzeria, cafe, steak house, food court")
CONDITIONS = _of("rain, snow, freeze, thunder, hail, clear up, be sunny, be windy, be foggy, get colder")
GENRES = _of("jazz, rock, blues, folk, techno, soul, opera, reggae, country, hip hop, heavy metal")
SERVICES = _of("tunebox, melodia, airwave, songbird, radio seven, vinyl club")
PEOPLE = _of(
    "anna, ben, clara, david, emma, felix, grace, hugo, iris, jonas, mary, nina, oscar, paul, rita, sam, tara, "
    "victor, mom, dad, my sister, my boss, doctor gray, uncle ben"
)
ERRANDS = _of(
    "buy milk, call home, water the plants, book a table, pay the rent, feed the cat, play less, find the keys, "
    "cancel the flight, send the report, pack, exercise, vote, study, clean up"
)
TITLE_WORDS = _of(
    "road, night, river, love, paris, rain, monday, gold, heart, summer, ghost, train, blue, london, winter, fire, "
    "dance, mirror, angel, table, flight, stone, wild, home, midnight"
)
BETWEEN = _of("of, in the, to, and, for, without, by the")
SYLLABLES = _of("ka, ro, mi, len, tor, va, su, dre, ni, bal, ez, o, ma, gri, pol, an")

LISTED = {
    "from_city": CITIES,
    "to_city": CITIES,
    "city": CITIES,
    "date": DATES,
    "time": TIMES,
    "people": NUMBERS,
    "nights": NUMBERS,
    "airline": AIRLINES,
    "class": CLASSES,
    "cuisine": CUISINES,
    "venue": VENUES,
    "condition": CONDITIONS,
    "genre": GENRES,
    "service": SERVICES,
    "person": PEOPLE,
    "errand": ERRANDS,
}
SLOTS = (*LISTED, "title", "artist")


def drawn(rng: np.random.Generator, slot: str) -> str:
    """A value of a slot; in a list the chance of the last is a third of that of the first."""
    if slot == "title":
        return _title(rng)
    if slot == "artist":
        return _artist(rng)
    values = LISTED[slot]
    share = rng.random() if rng.random() < 0.5 else min(rng.random(), rng.random())
    return values[int(share * len(values))]


def _title(rng: np.random.Generator) -> str:
    """One to three words of a song."""
    first, last = _one(rng, TITLE_WORDS), _one(rng, TITLE_WORDS)
    kind = rng.random()
    if kind < 0.35:
        return first
    return f"{first} {last}" if kind < 0.6 else f"{first} {_one(rng, BETWEEN)} {last}"


def _artist(rng: np.random.Generator) -> str:
    """A made-up name of one or two words, many of which occur only once."""
    names = [_one(rng, SYLLABLES) + _one(rng, SYLLABLES) for _ in range(1 + (rng.random() < 0.4))]
    return f"the {names[0]}s" if rng.random() < 0.15 else " ".join(names)


def _one(rng: np.random.Generator, choices: tuple[str, ...]) -> str:
    return choices[int(rng.random() * len(choices))]
