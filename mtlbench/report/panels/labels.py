"""Names of models and attacks in a few words."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from mtlbench.tasks import EVERY_TASK

Identity = Mapping[str, Any]
PARTS = ("attack", "step", "norm", "options", "key")


def model_words(identity: Identity) -> str:
    """Dataset, model, sharing, training and seed."""
    words = [str(identity[name]) for name in ("dataset", "model", "sharing")]
    return ", ".join([*words, f"training {identity['training']}", f"seed {identity['seed']}"])


def of_attacks(identities: Mapping[str, Identity]) -> dict[str, str]:
    """Key -> the shortest label that tells these attacks apart."""
    for number in range(1, len(PARTS) + 1):
        labels = {key: _label(key, one, PARTS[:number]) for key, one in identities.items()}
        if max(Counter(labels.values()).values(), default=0) < 2:
            return labels
    return labels


def _label(key: str, identity: Identity, parts: tuple[str, ...]) -> str:
    target = "" if identity["target"] == EVERY_TASK else f": {identity['target']}"
    options = {**identity["objective"], **identity["step_options"], **identity.get("starts", {})}
    texts = {
        "attack": f"{identity['attack']}{target}",
        "step": f"{identity['step']}, {identity['steps']} steps",
        "norm": str(identity.get("norm", "")),
        "options": ", ".join(f"{name} {value}" for name, value in sorted(options.items()) if name != "name"),
        "key": key[:8],
    }
    return "; ".join(texts[part] for part in parts if texts[part])
