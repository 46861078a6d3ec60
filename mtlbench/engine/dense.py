"""The losses of the field's attacks on segmentation, for any objective and step rule. Per image [B], as in `losses`.

Most of them weigh a pixel by whether it is wrong already. The weights are constants of a step (no gradient flows
through them), and where pixels turn wrong such a loss falls: it says where to go, not how far one has come. What an
image is judged by is therefore another loss (`JUDGES`), which `losses.TaskLosses` gives as the value of the first.
"""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from mtlbench.engine.masked import class_nats, masked_mean
from mtlbench.tasks import Loss


def one_minus_p(prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """1 - p, p the softmax probability of the true class: the share of wrong pixels, made smooth; in [0, 1]."""
    nats, weights = class_nats("one_minus_p", prediction, target, mask, class_weights)
    return masked_mean(-torch.expm1(-nats), weights)


def tsallis(
    prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None = None, q: float = 1.0
) -> Tensor:
    """Tsallis cross-entropy (1 - p^q) / q, q above 0: near 0 the cross-entropy, at 1 `one_minus_p`.

    In a run q rises from .25 to 1.5 (`SCHEDULES`), which is our choice; TsallisPGD (arXiv 2605.03405) sweeps q too, by
    a schedule of its own that is not followed here.
    """
    nats, weights = class_nats("tsallis", prediction, target, mask, class_weights)
    return masked_mean(-torch.expm1(-q * nats) / q, weights)


def masked_ce(prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Cross-entropy of the pixels that are right, over all valid ones (SEA, arXiv 2306.12941)."""
    nats, weights = class_nats("masked_ce", prediction, target, mask, class_weights)
    return masked_mean(nats * _right(prediction, target).to(nats), weights)


def balanced_ce(prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Cross-entropy in which every class of the image counts alike (SEA, arXiv 2306.12941).

    A pixel weighs 1 over the pixels of its class; `class_weights` change nothing.
    """
    nats, _ = class_nats("balanced_ce", prediction, target, mask)
    return masked_mean(nats, _balance(prediction, target, mask))


def balanced_masked_ce(
    prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None = None
) -> Tensor:
    """`balanced_ce` of the pixels that are right, over the weights of all valid ones (SEA, arXiv 2306.12941)."""
    nats, _ = class_nats("balanced_masked_ce", prediction, target, mask)
    return masked_mean(nats * _right(prediction, target).to(nats), _balance(prediction, target, mask))


def js(prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Jensen-Shannon divergence in nats of softmax and one-hot truth, in [0, log 2] (SEA, arXiv 2306.12941).

    With p of the true class, JS = (log(2 / (1 + p)) + p log(2p / (1 + p)) + (1 - p) log 2) / 2: of the other classes
    only their sum counts.
    """
    nats, weights = class_nats("js", prediction, target, mask, class_weights)
    p = torch.exp(-nats)
    log_2 = torch.log(p.new_tensor(2.0))
    of_truth = log_2 - torch.log1p(p)
    of_softmax = p * (log_2 - nats - torch.log1p(p)) + (1 - p) * log_2
    return masked_mean((of_truth + of_softmax) / 2, weights)


def segpgd(
    prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None = None, wrong: float = 0.0
) -> Tensor:
    """(1 - wrong) of the cross-entropy of right pixels and `wrong` of that of wrong ones (SegPGD, arXiv 2207.12391).

    In a run of T gradients `wrong` is t / 2T at gradient t = 0, 1, ... (`SCHEDULES`).
    """
    nats, weights = class_nats("segpgd", prediction, target, mask, class_weights)
    return masked_mean(nats * (wrong + (1 - 2 * wrong) * _right(prediction, target).to(nats)), weights)


def cospgd(prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Cross-entropy times the cosine of softmax and one-hot truth, a constant (CosPGD, arXiv 2302.02213)."""
    nats, weights = class_nats("cospgd", prediction, target, mask, class_weights)
    shares = prediction.detach().softmax(1)
    cosine = torch.exp(-nats.detach()) / shares.square().sum(1).sqrt()
    return masked_mean(nats * cosine, weights)


def wrong_pixels(prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Share of the pixels that are wrong, in [0, 1], to judge by; its gradient is 0. Class weights change nothing."""
    nats, weights = class_nats("wrong_pixels", prediction, target, mask)
    return masked_mean((~_right(prediction, target)).to(nats) + 0 * nats, weights)


DENSE: dict[str, Loss] = {
    "one_minus_p": one_minus_p,
    "tsallis": tsallis,
    "masked_ce": masked_ce,
    "balanced_ce": balanced_ce,
    "balanced_masked_ce": balanced_masked_ce,
    "js": js,
    "segpgd": segpgd,
    "cospgd": cospgd,
    "wrong_pixels": wrong_pixels,
}
"""Losses of logits and class ids."""

AS_REPORTED = ("wrong_pixels",)
"""Losses that see predictions at the size of the targets, as metrics do; others see targets at that of predictions."""

SCHEDULES: Mapping[str, Callable[[float], Mapping[str, float]]] = {
    "tsallis": lambda done: {"q": 0.25 + 1.25 * done},
    "segpgd": lambda done: {"wrong": done / 2},
}
"""Loss -> its options after a share `done` of the run's gradients, from 0 to below 1."""

JUDGES: Mapping[str, str] = dict.fromkeys(
    ("tsallis", "masked_ce", "balanced_masked_ce", "segpgd", "cospgd"), "one_minus_p"
)
"""Loss that changes its meaning during a run -> the loss that tells which image is best."""


def _right(prediction: Tensor, target: Tensor) -> Tensor:
    """Which pixels [B, h, w] are predicted as labelled."""
    return prediction.detach().argmax(1) == target[:, 0]


def _balance(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Weights [B, h, w] that add up to 1 over the pixels of each class in an image; 0 where ignored."""
    valid = mask[:, 0]
    ids = torch.where(valid, target[:, 0].long(), 0)
    of_class = F.one_hot(ids, prediction.shape[1]).movedim(-1, 1) * valid[:, None]
    counts = of_class.sum((2, 3)).clamp_min(1).to(prediction.dtype)
    return valid / counts.gather(1, ids.flatten(1)).view_as(ids)
