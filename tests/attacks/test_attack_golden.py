"""The perturbations of the reference implementation, pixel by pixel."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mtlbench.attacks.objectives import DGBA, Losses, Objective, SignSum, Single, Total
from mtlbench.attacks.steps import FGSM, PGD, Step
from mtlbench.data.batch import Batch
from mtlbench.engine.losses import at_size
from mtlbench.reference import ReferenceAPGD, ReferenceSAGA
from mtlbench.tasks import SEGMENTATION
from tests.device import HERE
from tests.fakes import RGBGolden
from tests.golden import DATASETS, NAMES, golden_attacks, golden_numbers, golden_perturbations
from tests.grid import climb, golden

EPS = 8 / 255
STEPS: dict[str, Step] = {"fgsm": FGSM(), "pgd": PGD(10), "apgd": ReferenceAPGD(10), "saga": ReferenceSAGA(10)}
OBJECTIVES: dict[str, Objective] = {"single": Single(), "total": Total(), "signsum": SignSum(), "dgba": DGBA()}
POOLED = [("tiny_taxonomy", f"{step}/total") for step in STEPS]
"""Here the reference climbs the batch's weighted mean, which no per-image loss equals; tested separately."""

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("one_thread")]


def entries() -> list[tuple[str, str]]:
    """(dataset, ``<step>/<objective>``) of everything that the reference wrote."""
    return [(ds, attack) for ds in DATASETS for attack in golden_attacks(ds)]


def step_of(ds: str, attack: str) -> Step:
    """The reference's APGD scores dgba by the losses relative to those of the clean data set."""
    if attack != "apgd/dgba":
        return STEPS[attack.split("/")[0]]
    clean = golden_numbers()[ds]["clean"]
    theirs = {ours: given for given, ours in NAMES.items()}
    return ReferenceAPGD(10, clean=[clean[theirs[task.name]]["loss"] for task in golden(ds).tasks])


def differing(found: Tensor, batch: Batch, expected: Tensor) -> float:
    """Share of values that differ by more than 0.01 grey levels; the reference works on BGR."""
    moved = ((found - batch.input) * 255).flip(1)
    return ((moved - expected).abs() > 1e-2).float().mean().item()


def perturb(step: Step, objective: Objective, losses: Losses, batch: Batch) -> Tensor:
    return climb(step, losses, batch.input, torch.full((len(batch),), EPS), objective)


def test_every_entry_can_be_reproduced():
    """All four steps with total and dgba, all but saga with sign sum and with one single per task."""
    assert len(entries()) == sum(2 * 4 + 3 * (1 + tasks) for tasks in (3, 5))
    assert {attack.split("/")[0] for _, attack in entries()} == set(STEPS)
    assert {attack.split("/")[1].split(":")[0] for _, attack in entries()} == set(OBJECTIVES)


@pytest.mark.parametrize(("ds", "attack"), [entry for entry in entries() if entry not in POOLED])
def test_perturbations_of_the_reference(ds, attack):
    name, _, target = attack.partition("/")[2].partition(":")
    tasks = [task for task in golden(ds).tasks if not target or task.name == NAMES[target]]
    assert len(tasks) == (1 if target else len(golden(ds).tasks))
    step = step_of(ds, attack)
    for batch, expected in zip(golden(ds).batches, golden_perturbations(ds, attack), strict=True):
        found = perturb(step, OBJECTIVES[name], golden(ds).losses(batch, tasks), batch)
        assert differing(found, batch, expected) < 1e-3


def pooled_losses(golden: RGBGolden, batch: Batch) -> Losses:
    """Images -> [1, B] whose mean is the reference's total: its weighted cross-entropy divides by the weights of the
    batch, where ours divides by those of the image.
    """
    segmentation = next(task for task in golden.tasks if task.name == SEGMENTATION)
    weights = torch.tensor(segmentation.class_weights, **HERE)
    others = golden.losses(batch, [task for task in golden.tasks if task is not segmentation])

    def losses(x: Tensor) -> Tensor:
        predictions = golden.forward(x)
        logits = predictions[SEGMENTATION]
        size = logits.shape[-2], logits.shape[-1]
        labels = at_size(batch.targets[SEGMENTATION], size)[:, 0].long()
        valid = at_size(batch.masks[SEGMENTATION], size)[:, 0]
        labels = torch.where(valid, labels, -100)
        nats = F.cross_entropy(logits, labels, weight=weights, reduction="none").sum((1, 2))
        total = (weights[labels.clamp_min(0)] * valid).sum()
        return (len(batch) * nats / total + others.of(predictions).sum(0))[None]

    return losses


@pytest.mark.parametrize(("ds", "attack"), POOLED)
def test_total_of_the_reference_in_its_batch_form(ds, attack):
    """The batch form matches as well as the others; our per-image form differs in some pixels."""
    step = STEPS[attack.split("/")[0]]
    for batch, expected in zip(golden(ds).batches, golden_perturbations(ds, attack), strict=True):
        pooled = perturb(step, Total(), pooled_losses(golden(ds), batch), batch)
        assert differing(pooled, batch, expected) < 1e-3
        ours = perturb(step, Total(), golden(ds).losses(batch), batch)
        assert 0 < differing(ours, batch, expected) < 0.25
