"""Precision is set around a computation and put back: no point of a sweep computes in that of the one before."""

import pytest
import torch

from mtlbench.engine.precision import PRECISIONS, check, computing_in, in_identity
from mtlbench.engine.training import Recipe, train
from mtlbench.errors import UsageError
from mtlbench.models.model import weights_hash
from mtlbench.models.sharing import level
from mtlbench.models.tiny import Tiny
from mtlbench.models.tree_model import TreeModel, build
from tests.fakes import FakeDataset

DATASET = FakeDataset(4)


def model() -> TreeModel:
    return build(Tiny(), level(3, 5), DATASET.tasks, 0)


def state(of: TreeModel) -> tuple[object, ...]:
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    return matmul.fp32_precision, cudnn.conv.fp32_precision, cudnn.benchmark, of.autocast  # type: ignore[attr-defined]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("outer", PRECISIONS)
def test_inside_it_holds_and_afterwards_all_is_as_before(precision: str, outer: str) -> None:
    one = model()
    mode = {"fp32": "ieee", "tf32": "tf32", "bf16": "ieee"}
    with computing_in(outer, one):
        before = state(one)
        with pytest.raises(KeyError), computing_in(precision, one):
            autocast = torch.bfloat16 if precision == "bf16" else None
            inside = mode[precision], mode[precision], precision == "fp32", autocast
            assert state(one) == inside
            raise KeyError
        assert state(one) == before


def trained(precision: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    one = model()
    recipe = Recipe(iterations=2, batch_size=2, lr=1e-3, precision=precision)
    train(one, DATASET, recipe, torch.device("cpu"), tmp_path_factory.mktemp("state") / "state.pt")
    assert one.autocast is None
    return weights_hash(one)


def test_a_training_computes_in_its_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever the point before it did."""
    plain = trained("fp32", tmp_path_factory)
    assert trained("bf16", tmp_path_factory) != plain
    with computing_in("bf16", model()):
        assert trained("fp32", tmp_path_factory) == plain


def test_fp32_is_neutral_in_an_identity() -> None:
    assert [in_identity(precision) for precision in PRECISIONS] == [{}, {"precision": "tf32"}, {"precision": "bf16"}]


@pytest.mark.parametrize("value", ["fp8", "", None, 32])
def test_a_precision_that_is_none(value: object) -> None:
    with pytest.raises(UsageError, match=r"training\.precision=.*: expected fp32, tf32 or bf16"):
        check(value, "training.precision")
