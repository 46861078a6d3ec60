"""The panels of some cells, in the order in which a page shows them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mtlbench.constants import NO_ATTACK
from mtlbench.errors import DataError
from mtlbench.report.panels.encode import LARGE
from mtlbench.report.panels.labels import model_words, of_attacks
from mtlbench.report.panels.measured import agreement, rise, rounding_sentence
from mtlbench.report.panels.panel import Column, Panel
from mtlbench.storage.images import Images, ImageSets

About = Mapping[str, Any]
MOST_COLUMNS = 6
"""Attacks beside each other in one panel."""

FILES_IN_MEMORY = 8
ADD = "`mtlbench attack ... save_images=8` with the options of their runs adds them without computing the cells again"


@dataclass(frozen=True)
class Gallery:
    """The panels of some cells.

    Attributes:
        panels: the most telling first, so that a page may show a prefix of them.
        choice: sentences, plain text: by which rule the images were chosen, and what rounding to 8 bits does; empty
            without panels.
        notes: sentences, plain text: what is missing and why, with the command that adds it.
    """

    panels: tuple[Panel, ...]
    choice: str = ""
    notes: tuple[str, ...] = ()

    def within(self, most: int) -> tuple[list[Panel], str]:
        """The first panels that take at most `most` bytes of HTML, and a sentence if that leaves some out."""
        shown: list[Panel] = []
        used = 0
        for panel in self.panels:
            if used + panel.bytes > most:
                break
            used += panel.bytes
            shown.append(panel)
        if len(shown) == len(self.panels):
            return shown, ""
        return shown, (
            f"{len(shown)} of {len(self.panels)} panels are shown ({used / 1e6:.1f} MB); "
            f"with more of them the page would be larger than {most / 1e6:.1f} MB of panels."
        )


@dataclass(frozen=True)
class _Group:
    """The cells of one model at one epsilon whose images are in one set."""

    chosen: str
    clean: str
    eps: float
    attacks: Mapping[str, About]
    """Key -> what its file says; the strongest attack first."""


def panels(images: ImageSets, identities: Mapping[str, Mapping[str, Any]]) -> Gallery:
    """The panels of some cells: one for each chosen image, model and epsilon.

    Args:
        images: the saved images.
        identities: key of a cell -> its identity; cells without saved images are mentioned in the notes.
    """
    wanted = {key: one for key, one in identities.items() if one["attack"] != NO_ATTACK}
    notes: list[str] = []
    groups = _groups(images, wanted, notes)
    shown = {key for group in groups for key in group.attacks}
    if absent := len(wanted) - len(shown):
        notes.append(f"Of {absent} attacks no images are shown; {ADD}.")
    return Gallery(
        tuple(_ordered(images, groups, identities)),
        _choice([about for group in groups for about in group.attacks.values()]),
        tuple(notes),
    )


def _groups(images: ImageSets, wanted: Mapping[str, Mapping[str, Any]], notes: list[str]) -> list[_Group]:
    """The saved cells by model and epsilon; each cell in the set that has most of the wanted cells."""
    sets = images.sets()
    found: dict[tuple[str, str, float], dict[str, About]] = {}
    clean: dict[tuple[str, str], About] = {}
    seen: set[str] = set()
    for chosen in sorted(sets, key=lambda name: (-len(sets[name] & wanted.keys()), name)):
        for key in sorted(sets[chosen] & wanted.keys() - seen):
            try:
                about = images.about(chosen, key)
                if (chosen, about["clean"]) not in clean:
                    clean[chosen, about["clean"]] = images.about(chosen, about["clean"])
            except DataError as error:
                folder = f"{images.folder.parent}/" if isinstance(images, Images) else ""
                notes.append(str(error).removeprefix(folder))
                continue
            seen.add(key)
            found.setdefault((chosen, about["clean"], float(wanted[key]["eps"])), {})[key] = about
    groups = []
    for (chosen, before, eps), attacks in found.items():
        strength = {key: rise(clean[chosen, before], about) for key, about in attacks.items()}
        strongest = sorted(attacks, key=lambda key: (-strength[key], key))
        groups.append(_Group(chosen, before, eps, {key: attacks[key] for key in strongest}))
    return groups


def _ordered(images: ImageSets, groups: Sequence[_Group], identities: Mapping[str, Mapping[str, Any]]) -> list[Panel]:
    """Largest epsilon first; of every model the worst, the median and the best image before the next ones."""
    load = lru_cache(FILES_IN_MEMORY)(images.load)
    epsilons = sorted({group.eps for group in groups}, reverse=True)
    found = []
    for group in groups:
        columns = list(of_attacks({key: identities[key] for key in group.attacks}).items())
        about = next(iter(group.attacks.values()))
        model = model_words(identities[next(iter(group.attacks))])
        for index, role in enumerate(about["roles"]):
            place = epsilons.index(group.eps), about["roles"][:index].count(role), model, index
            panel = Panel(
                load=load,
                chosen=group.chosen,
                clean=group.clean,
                columns=tuple(Column(label, key) for key, label in columns[:MOST_COLUMNS]),
                index=index,
                eps=group.eps,
                model=model,
                weaker=max(len(columns) - MOST_COLUMNS, 0),
            )
            found.append((place, panel))
    return [panel for _, panel in sorted(found, key=lambda pair: (pair[0], pair[1].id))]


def _choice(abouts: Sequence[About]) -> str:
    """By which rule the images were chosen, and how exact the pictures are."""
    if not abouts:
        return ""
    first = abouts[0]
    roles = {"worst": "hurt most", "median": "in the middle", "best": "hurt least"}
    counts = [f"{first['roles'].count(role)} {words}" for role, words in roles.items() if role in first["roles"]]
    attacks = " or ".join(map(str, sorted({about["over"] for about in abouts})))
    return (
        f"The images are chosen by a rule. Of every attack and task the images are ranked by the relative rise of the "
        f"task's loss, and the ranks are averaged over the tasks and over the {attacks} attacks that were run "
        f"together. Shown of {first['n_images']} images: {', '.join(counts)}. {agreement(abouts)} "
        f"{rounding_sentence(abouts)} Perturbations and errors are computed from the floats; a photograph of more "
        f"than {LARGE // 1000} kB is coded with loss for display, which changes it more than the attack does."
    )
