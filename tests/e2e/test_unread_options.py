"""An option that is given and not read is an error: nobody gives one to see nothing happen."""

from collections.abc import Callable

import pytest

REFUSED = {
    "steps of saga": (("attack", "attack=saga", "attack.step.steps=50"), "attack=saga has a step rule of its own"),
    "steps of noise": (("attack", "attack=noise", "+attack.step.steps=50"), "attack=noise has a step rule of its own"),
    "a step rule for saga": (("attack", "attack=saga", "attack/step=pgd"), "attack=saga has a step rule of its own"),
    "eps of nothing": (("attack", "attack=none", "eps=4"), "attack=none attacks nothing"),
    "restarts of nothing": (("attack", "attack=none", "attack.restarts=2"), "attack=none attacks nothing"),
    "start of noise": (("attack", "attack=noise", "attack.random_start=true"), "random wherever it starts"),
    "source of noise": (("attack", "attack=noise", "attack.source=x"), "noise is random whatever model"),
    "source of nothing": (("attack", "attack=none", "attack.source=x"), "attack=none attacks nothing"),
    "metrics of losses": (("attack", "attack.metrics={depth:[abs_err]}"), "attack=dgba climbs losses, not metrics"),
    "clean values of losses": (("attack", "attack.clean_values=train"), "attack=dgba climbs losses, not metrics"),
    "a loss of metrics": (
        ("attack", "attack=smooth_arp", "attack.loss={segmentation:js}"),
        "attack=smooth_arp climbs metrics, not losses",
    ),
    "convergence of noise": (("attack", "attack=noise", "attack.converged=check"), "takes no number of steps"),
    "convergence of fgsm": (("attack", "attack/step=fgsm", "attack.converged=check"), "takes no number of steps"),
    "a sample of nothing": (
        ("attack", "attack.converged_images=9"),
        "give attack.converged=check or attack.black_box=check as well",
    ),
    "halving in one cycle": (("train", "training.halve_every=5"), "training.schedule=one_cycle halves nothing"),
    "steps of fgsm": (("train", "training=adversarial", "training.steps=3"), "training.step=fgsm takes one step"),
    "eps of the control": (("train", "training=clean_twice", "training.eps=3"), "leaves the images as they are"),
    "images of a folder": (("attack", "dataset.root=.", "dataset.images=26"), "so nothing is generated"),
    "sentences of a folder": (
        ("attack", "dataset=sentences", "model=bilstm", "dataset.root=.", "dataset.sentences=26"),
        "so nothing is generated",
    ),
    "augmentation of weights": (("attack", "checkpoint=x", "dataset.augment.mirror=false"), "the weights are given"),
    "device of a report": (("report", "device=cpu"), "only audit= computes anything"),
    "study of a cell": (("report", "cell=0a", "study=cost"), "cell= and audit= show no study"),
    "workers of data": (("data", "workers=2"), "mtlbench data decodes in this process"),
    "seed of layouts": (("layouts", "seed=1"), "mtlbench layouts only draws"),
    "workers of bench": (("bench", "workers=2"), "loads its images before it times anything"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_named_with_the_reason(call: Callable, case: str) -> None:
    arguments, why = REFUSED[case]
    done = call(*arguments)
    assert done.status == 2, done.err
    (message,) = [line for line in done.err.splitlines() if line.startswith("mtlbench: ")]
    assert f"{arguments[-1]}: nothing reads this option here: " in message
    assert why in message


def test_in_a_sweep_it_is_for_the_other_points(call: Callable, tmp_path: object) -> None:
    small = ("dataset.images=26", "dataset.resolution=32", "training.iterations=2", "+model.width=0.1")
    done = call("attack", "-m", *small, "attack=none,noise,total", "attack/step=fgsm,pgd", "eps=4")
    assert done.status == 0, done.err


def test_saga_takes_its_own_steps(call: Callable) -> None:
    small = ("dataset.images=26", "dataset.resolution=32", "training.iterations=2", "+model.width=0.1")
    done = call("attack", *small, "attack=saga", "attack.fixed_step.steps=3", "eps=4")
    assert done.status == 0, done.err
    assert ", step saga, steps 3, " in done.out
