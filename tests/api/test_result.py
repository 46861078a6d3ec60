"""`Result`: tables, comparisons, plots, files."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

import mtlbench
from mtlbench.errors import DataError, UsageError
from tests.api.test_attack import same
from tests.running import Result as Done

pytestmark = pytest.mark.usefixtures("one_thread")
Split = tuple[Tensor, dict[str, Tensor]]


def test_summary_names_every_attack(result: mtlbench.Result) -> None:
    text = result.summary()
    assert all(name in text for name in ("dgba", "total", "single:scene", "single:range", "single:kind", "±"))
    assert "undefined" not in text
    assert "<table" in result._repr_html_()


def test_both_score_sets(result: mtlbench.Result) -> None:
    assert set(result.paper.arp["scores"]) == {"paper"}
    assert set(result.standard.arp["scores"]) == {"standard"} == set(result.arp["scores"])


def test_compare_is_paired(net: nn.Module, attacked: Callable[..., mtlbench.Result], result: mtlbench.Result) -> None:
    assert result.compare(result)["difference"].tolist() == [0.0] * len(result.arp)
    weaker = deepcopy(net)
    with torch.no_grad():
        weaker.trunk[0].weight.mul_(0.7)
    other = attacked(model=weaker, eps=8, probe=None)
    table = result.compare(other)
    ours, theirs = result.arp[result.arp["eps"] == 8], other.arp
    expected = ours["arp_percent"].to_numpy() - theirs["arp_percent"].to_numpy()
    assert table["difference"].tolist() == pytest.approx(expected.tolist())
    assert table["attack"].tolist() == ours["attack"].tolist()
    assert ((table["ci_low"] <= table["difference"]) & (table["difference"] <= table["ci_high"])).all()


def test_compare_needs_an_attack_in_common(attacked: Callable[..., mtlbench.Result], result: mtlbench.Result) -> None:
    with pytest.raises(UsageError, match="no attack in common"):
        result.compare(attacked(step="pgd", eps=8, objective="total"))


def test_compare_refuses_other_images(
    attacked: Callable[..., mtlbench.Result], result: mtlbench.Result, test_split: Split
) -> None:
    images, targets = test_split
    shuffled = attacked((images.flip(0), {k: v.flip(0) for k, v in targets.items()}), objective="total", eps=8)
    with pytest.raises(UsageError, match="does the loader shuffle"):
        result.compare(shuffled)


@pytest.mark.parametrize("kind", ["arp", "damage", "transfer"])
def test_plots(result: mtlbench.Result, kind: Literal["arp", "damage", "transfer"], tmp_path: Path) -> None:
    figure = result.plot(kind)
    figure.save(tmp_path / "plot.pdf")
    assert (tmp_path / "plot.pdf").read_bytes().startswith(b"%PDF")
    assert figure._repr_mimebundle_()["image/svg+xml"].startswith("<svg")
    assert figure.chart.to_dict()["$schema"].startswith("https://vega.github.io/schema/vega-lite/")


def test_a_plot_that_nobody_knows(result: mtlbench.Result) -> None:
    with pytest.raises(UsageError, match="kind=arrp: expected arp, damage or transfer"):
        result.plot("arrp")  # type: ignore[arg-type]


def test_nothing_to_plot(attacked: Callable[..., mtlbench.Result]) -> None:
    found = attacked(step="pgd", eps=8, objective="total")
    with pytest.raises(UsageError, match="plot: nothing to draw in transfer"):
        found.plot("transfer")


def test_saved_results_load_and_report(result: mtlbench.Result, tmp_path: Path, call: Callable[..., Done]) -> None:
    folder = result.save(tmp_path / "outputs")
    loaded = mtlbench.load(folder)
    assert len(loaded.cells) == len(result.cells)
    result.save(folder)
    done = call("report", f"outputs={folder}")
    assert done.status == 0
    assert "single:kind" in done.out
    ours = result.arp.set_index("cell")["arp_percent"].sort_index()
    theirs = loaded.arp.set_index("cell")["arp_percent"].sort_index()
    assert ours.to_dict() == pytest.approx(theirs.to_dict())


def test_other_numbers_of_the_same_model_are_not_mixed(
    net: nn.Module, attacked: Callable[..., mtlbench.Result], tmp_path: Path
) -> None:
    def wrapped(x: Tensor) -> dict[str, Tensor]:
        return net((x * 3).round() / 3 + x - x.detach())

    quick = {"modules": [net], "name": "Net", "objective": "total", "eps": 8}
    other, mine = attacked(model=wrapped, **quick), attacked(model=lambda x: net(x), **quick)
    folder = mine.save(tmp_path)
    with pytest.raises(DataError, match="holds other numbers of the same model, images and attack"):
        other.save(folder)


def test_nothing_to_load(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no results; expected an outputs folder"):
        mtlbench.load(tmp_path)


def test_loaded_equals_what_was_saved_at_full_replicates(
    attacked: Callable[..., mtlbench.Result], tmp_path: Path
) -> None:
    whole = attacked(replicates=1000, eps=4, objective="total", limit=6)
    same(mtlbench.load(whole.save(tmp_path)), whole)


def test_one_model_alone_has_no_gain(result: mtlbench.Result) -> None:
    assert set(result.transferability["status"]) == {"ok"}
    assert torch.tensor(result.transferability["ratio"].to_numpy()).isfinite().all()


def alone(net: nn.Module) -> dict[str, nn.Module]:
    """Three models of one task each: copies of a model of three."""
    copies = {name: deepcopy(net) for name in ("scene", "range", "kind")}
    with torch.no_grad():
        copies["range"].trunk[0].weight.mul_(0.9)
    return copies


def test_the_gain_over_single_task_models(net: nn.Module, attacked: Callable[..., mtlbench.Result]) -> None:
    """A model of which all tasks are attacked alike through a shared trunk, beside three that share nothing."""
    options = {"objective": "single", "eps": 8}
    found = attacked(baseline=alone(net), **options)
    assert found.baseline is not None
    assert set(found.baseline.arp["sharing"]) == {"independent"}
    assert set(found.arp["sharing"]) == {"custom"}
    assert found.baseline.cells[0].provenance["sharing_measured"]["shared_path"] == 0
    keys = ["source", "destination"]
    ours, theirs = found.transferability.set_index(keys), found.baseline.transferability.set_index(keys)
    usable = ours["gain_vs_independent"].notna()
    assert usable.any()
    expected = (ours["ratio"] / theirs["ratio"])[usable]
    assert ours["gain_vs_independent"][usable].tolist() == pytest.approx(expected.tolist())
    named = attacked(model=alone(net), name="three", **options)
    same(found.with_baseline(named), found)


def test_single_task_models_run_what_is_attacked(net: nn.Module, attacked: Callable[..., mtlbench.Result]) -> None:
    """`single` hurts a task through its own model: as an attack on that model alone does."""
    copies = alone(net)
    options = {"objective": "single", "eps": 8}
    of_three, of_one = (
        found[(found["target"] == "range") & (found["task"] == "range")]["attacked"].tolist()
        for found in (attacked(model=model, **options).metrics for model in (copies, copies["range"]))
    )
    assert of_three == of_one
    assert len(of_three) > 1


def test_a_saved_baseline_gives_the_gain_in_reports(
    net: nn.Module, attacked: Callable[..., mtlbench.Result], tmp_path: Path
) -> None:
    found = attacked(baseline=alone(net), objective="single", eps=8, limit=12, replicates=1000)
    loaded = mtlbench.load(found.save(tmp_path)).transferability
    ours = loaded[loaded["sharing"] == "custom"].reset_index(drop=True)
    assert ours["gain_vs_independent"].tolist() == pytest.approx(
        found.transferability["gain_vs_independent"].tolist(), nan_ok=True
    )


def test_what_is_no_baseline(
    net: nn.Module, attacked: Callable[..., mtlbench.Result], result: mtlbench.Result, test_split: Split
) -> None:
    with pytest.raises(UsageError, match="expected results of one model, and of one set of single-task models"):
        result.with_baseline(result)
    with pytest.raises(UsageError, match=r"model: a mapping of scene, .*; expected a module, or one for each task"):
        attacked(baseline={"scene": net})
    with pytest.raises(UsageError, match="baseline: the results are not of the same images"):
        result.with_baseline(attacked(model=alone(net), limit=3, objective="total", eps=8, probe=None))
