"""Every attack that conf/ can build, on the golden model; what the tests of attacks share."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import hydra
import torch
import yaml
from omegaconf import OmegaConf
from torch import Tensor

from mtlbench.attacks.around import Around
from mtlbench.attacks.attack import Attack
from mtlbench.attacks.ball import BALLS
from mtlbench.attacks.objectives import METRICS, Losses, Objective, Total
from mtlbench.attacks.random import PerImage
from mtlbench.attacks.steps import Step
from mtlbench.config.attack import build_attacks, build_objective_and_step
from mtlbench.config.build import resolve
from mtlbench.config.folder import conf_dir
from mtlbench.constants import AVERAGE_OTHER, NEAREST_OTHER
from mtlbench.data.batch import Batch
from tests.device import HERE, ON_CPU
from tests.fakes import RGBGolden

CONF = conf_dir() / "attack"
EPS = 8 / 255
SLACK = 1e-6
NO_ATTACK = {"none"}
"""Options of conf/attack without an objective; everything else there is tested."""
STARTED = {"nearest_other", "average_other", "several_starts"}
"""Options of conf/attack that are named by where they start; what they climb is the total."""
BATCH_BOUND = {"apgd_reference", "saga_reference"}
"""Step rules that depend on the batch by definition: copies of the reference, for parity only."""


OF_IMAGES = {"reader": {"_target_": "mtlbench.data.nyuv2.NYUv2"}}

SHORT = {"steps": 4, "grid": 1}
"""Options made smaller, wherever a yaml has them, so that the grid stays quick."""


@cache
def composed(choice: str) -> Any:
    """The attack group, unresolved, that one choice makes: ``attack=dgba`` or ``attack/step=pgd``."""
    with hydra.initialize_config_dir(str(CONF.parent), version_base="1.3"):
        found: Any = OmegaConf.to_container(hydra.compose(overrides=[f"+{choice}"]), resolve=False)
    return found["attack"]


OF_METRICS = ("apgd", "mim_linear", "saga")
"""Step rules of attacks that climb metrics: to a rule a row of numbers is a row, and these are slower to compute."""


def _pairs() -> list[tuple[str, str]]:
    """(attack, step) for every yaml; the step is ``fixed`` where the attack brings its own."""
    rules = sorted(path.stem for path in (CONF / "step").glob("*.yaml") if "image" in _forms(path.stem))
    names = [path.stem for path in sorted(CONF.glob("*.yaml")) if path.stem not in NO_ATTACK]
    attacks = {name: _written(CONF / f"{name}.yaml") for name in names}
    return [(name, step) for name, node in attacks.items() for step in _rules(node, rules)]


def _written(file: Path) -> Any:
    """What a yaml says itself, without its defaults: composing all of them would take a second."""
    return yaml.safe_load(file.read_text())


def _forms(rule: str) -> Sequence[str]:
    """The inputs that a step rule moves; those of words are tested in tests/attacks/test_words.py."""
    kind: Any = resolve(_written(CONF / "step" / f"{rule}.yaml")["_target_"])
    forms: Sequence[str] = kind.forms
    return forms


def _rules(node: Mapping[str, Any], every: Sequence[str]) -> Sequence[str]:
    """The step rules to cross an attack with."""
    if "fixed_step" in node:
        return ["fixed"]
    if node["name"] in STARTED:
        return ["pgd"]
    kind: Any = resolve(node["objective"]["_target_"])
    return OF_METRICS if kind.climbs == METRICS else every


PAIRS = _pairs()
GRADIENT_FREE = {"square"}
"""Step rules that need more than a few queries to be any good."""
QUERIES = 12
"""Of these, each a fraction of a gradient's time."""
LINF_ONLY = BATCH_BOUND | {"square"}
NORMED = [(*pair, norm) for pair in PAIRS for norm in BALLS if norm == "linf" or pair[1] not in LINF_ONLY]
"""(attack, step, norm)."""


def _covering() -> set[tuple[str, str]]:
    """Of the pairs a third, in which every attack meets every third step rule and every rule every third attack.

    Attacks of few rules keep all of theirs.
    """
    rules = sorted({step for _, step in PAIRS})
    attacks = sorted({attack for attack, _ in PAIRS})
    few = {attack for attack in attacks if sum(one == attack for one, _ in PAIRS) <= len(OF_METRICS)}
    return {(a, s) for a, s in PAIRS if a in few or (attacks.index(a) + rules.index(s)) % 3 == 0}


COVERING = _covering()
"""What one of attack and rule must have by itself is tested on these; with every other pair in the long form."""


def _each_once() -> set[tuple[str, str]]:
    """Of `COVERING`, pairs in which every attack and every rule comes once at least."""
    found: set[tuple[str, str]] = set()
    for pair in sorted(COVERING):
        if not all(any(pair[place] == other[place] for other in found) for place in (0, 1)):
            found.add(pair)
    return found


EACH_ONCE = _each_once()
"""All that a quick run takes."""
OBJECTIVES = sorted({attack for attack, _ in PAIRS})


@cache
def golden(ds: str) -> RGBGolden:
    """The golden model and batches; ``precise`` are those of nyuv2 in double precision, for rules that choose a best
    point: after a difference in rounding they may choose another one.
    """
    if ds != "precise":
        return RGBGolden(ds)
    found = RGBGolden("nyuv2")
    found.model.double()
    found.batches = [replace(batch, input=batch.input.double()) for batch in found.batches]
    return found


@cache
def attack_of(attack: str, step: str, ds: str = "nyuv2", **options: Any) -> Attack:
    """The attack that ``attack=.. attack/step=..`` gives, with further options of the attack group."""
    rule = {} if step == "fixed" else composed(f"attack/step={step}")
    chosen = deepcopy({**composed(f"attack={attack}"), **rule})
    short = SHORT | ({"steps": QUERIES} if step in GRADIENT_FREE else {})
    for node in (chosen, chosen["step"], chosen.get("fixed_step", {})):
        node.update({name: value for name, value in short.items() if name in node})
    chosen.update(options)
    config: Any = OmegaConf.to_container(
        OmegaConf.create({"attack": chosen, "dataset": OF_IMAGES, "plugins": []}), resolve=True
    )
    built = build_attacks(config, build_objective_and_step(config), golden(ds).tasks)
    return next(iter(built.values()))  # the first task's, of `single`


def objective_of(attack: str) -> Objective:
    return attack_of(attack, "pgd").objective


def run(
    attack: str,
    step: str,
    batch: Batch,
    eps: float | Sequence[float] = EPS,
    seed: int = 0,
    ds: str = "nyuv2",
    **options: Any,
) -> Tensor:
    """The attacked images of `batch`."""
    return apply(attack_of(attack, step, ds, **options), batch, eps, seed, ds)


def apply(
    attack: Attack, batch: Batch, eps: float | Sequence[float] = EPS, seed: int = 0, ds: str = "nyuv2"
) -> Tensor:
    radii = torch.tensor([eps] * len(batch) if isinstance(eps, float) else eps, **HERE)
    losses = golden(ds).seen_by(attack, batch)
    return attack(losses, batch.input, radii, PerImage(seed, batch.names), starting(attack, batch))


def starting(attack: Attack, batch: Batch) -> Around:
    """Images, with their negatives as the other points where attacks may start."""
    kinds = (NEAREST_OTHER, AVERAGE_OTHER)
    return Around(points={kind: dict.fromkeys(names_of(attack), 1 - batch.input) for kind in kinds})


def names_of(attack: Attack) -> list[str]:
    """The attacked tasks."""
    return [task.name for task in attack.tasks]


def climb(step: Step, losses: Losses, x: Tensor, eps: Tensor, objective: Objective | None = None, **options) -> Tensor:
    """A step rule on losses of its own, on images called 0, 1, .."""
    names = [str(i) for i in range(len(x))]
    return Attack(objective or Total(), step, (), **options)(losses, x, eps, PerImage(0, names))


def distance(found: Tensor, batch: Batch, norm: str = "linf") -> Tensor:
    """How far attacked images are from those of the batch [B], in the unit of eps."""
    return BALLS[norm](batch.input, batch.input.new_zeros(len(batch)), PerImage(0, batch.names)).distance(found)


SIDE = 16
"""Of the corners of golden images that properties are tested on: a quarter of the pixels shows the same."""


@cache
def first_batch(ds: str = "nyuv2") -> Batch:
    """The upper left corners of the first golden batch."""
    whole = golden(ds).batches[0]

    def corners(maps: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: values[..., :SIDE, :SIDE].contiguous() for name, values in maps.items()}

    image = whole.input[..., :SIDE, :SIDE].contiguous()
    return replace(whole, input=image, targets=corners(whole.targets), masks=corners(whole.masks))


def same(found: Tensor, expected: Tensor) -> None:
    """Bit for bit on a CPU; elsewhere but for gradients within rounding of zero, whose sign is anybody's guess."""
    assert found.shape == expected.shape
    if ON_CPU:
        assert torch.equal(found, expected)
    else:
        assert ((found - expected).abs() < SLACK).float().mean() > 0.999
