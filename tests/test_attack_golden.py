"""The perturbations of the reference implementation, pixel by pixel."""

from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mtlbench.attacks.attack import Attack
from mtlbench.attacks.objectives import DGBA, Objective, SignSum, Single, Total
from mtlbench.attacks.random import PerImage
from mtlbench.attacks.steps import FGSM, PGD, ReferenceAPGD, ReferenceSAGA, Step
from mtlbench.data.batch import Batch
from mtlbench.losses import at_size
from mtlbench.tasks import SEGMENTATION
from tests.fakes import RGBGolden
from tests.golden import DATASETS, NAMES, folder, golden_attacks, golden_numbers, golden_perturbations

EPS = 8 / 255
STEPS: dict[str, Step] = {"fgsm": FGSM(), "pgd": PGD(10), "apgd": ReferenceAPGD(10), "saga": ReferenceSAGA(10)}
OBJECTIVES: dict[str, Objective] = {"single": Single(), "total": Total(), "signsum": SignSum(), "dgba": DGBA()}
POOLED = [("tiny_taxonomy", f"{step}/total") for step in STEPS]
"""Here the reference climbs the batch's weighted mean, which no per-image loss equals; tested separately."""

pytestmark = pytest.mark.usefixtures("shared", "one_thread")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def golden(ds: str) -> RGBGolden:
    return RGBGolden(ds)


def entries() -> list[tuple[str, str]]:
    """(dataset, ``<step>/<objective>``) of everything that these steps and objectives can reproduce."""
    if not folder().is_dir():
        return []
    found = [(ds, attack) for ds in DATASETS for attack in golden_attacks(ds)]
    return [(ds, a) for ds, a in found if a.split("/")[0] in STEPS and a.split("/")[1].split(":")[0] in OBJECTIVES]


def differing(found: Tensor, batch: Batch, expected: Tensor) -> float:
    """Share of values that differ by more than 0.01 grey levels; the reference works on BGR."""
    moved = ((found - batch.image) * 255).flip(1)
    return ((moved - expected).abs() > 1e-2).float().mean().item()


def perturb(step: Step, objective: Objective, losses, batch: Batch) -> Tensor:
    eps = torch.full((len(batch),), EPS)
    return Attack(objective, step, ())(losses, batch.image, eps, PerImage(0, batch.names))[""]


def rule(ds: str, step: str, objective: str) -> Step:
    """The reference's APGD scores dgba by the change relative to the clean losses of the data set."""
    if (step, objective) != ("apgd", "dgba"):
        return STEPS[step]
    clean = golden_numbers()[ds]["clean"]
    return ReferenceAPGD(10, [clean[theirs]["loss"] for theirs, ours in NAMES.items() if theirs in clean])


def test_entries_are_those_that_the_reference_wrote():
    """FGSM, PGD and APGD times (total, signsum, dgba, one single per task); SAGA times (total, dgba)."""
    assert len(entries()) == 3 * (3 + 3) + 2 + 3 * (3 + 5) + 2


@pytest.mark.parametrize(("ds", "attack"), [entry for entry in entries() if entry not in POOLED])
def test_perturbations_of_the_reference(ds, attack):
    step, _, rest = attack.partition("/")
    name, _, target = rest.partition(":")
    tasks = [task for task in golden(ds).tasks if not target or task.name == NAMES[target]]
    assert len(tasks) == (1 if target else len(golden(ds).tasks))
    for batch, expected in zip(golden(ds).batches, golden_perturbations(ds, attack), strict=True):
        found = perturb(rule(ds, step, name), OBJECTIVES[name], golden(ds).losses(batch, tasks), batch)
        assert differing(found, batch, expected) < 1e-3


def pooled_losses(golden: RGBGolden, batch: Batch):
    """Images -> [T, B] whose summed mean is the reference's total: its weighted cross-entropy divides by the
    weights of the batch, where ours divides by those of the image.
    """
    segmentation = next(task for task in golden.tasks if task.name == SEGMENTATION)
    weights = torch.tensor(segmentation.class_weights)
    others = golden.losses(batch, [task for task in golden.tasks if task is not segmentation])

    def losses(x: Tensor) -> Tensor:
        predictions = golden.forward(x)
        logits = predictions[SEGMENTATION]
        labels = at_size(batch.targets[SEGMENTATION], logits.shape[-2:])[:, 0].long()
        valid = at_size(batch.masks[SEGMENTATION], logits.shape[-2:])[:, 0]
        labels = torch.where(valid, labels, -100)
        nats = F.cross_entropy(logits, labels, weight=weights, reduction="none").sum((1, 2))
        total = (weights[labels.clamp_min(0)] * valid).sum()
        return torch.cat([(len(batch) * nats / total)[None], others.of(predictions)])

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
