"""Trunks of timm in levels: equal to timm's own maps, bit for bit; what cannot be cut is refused."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mtlbench.errors import MachineError, ModelError, UsageError
from mtlbench.models.levels import Level, create, cut
from mtlbench.models.tokens import groups, patches, rows_above, to_map, to_tokens

QUICK = {
    "resnet18": 5,
    "convnext_atto": 4,
    "vit_tiny_patch16_224": 5,
    "swin_tiny_patch4_window7_224": 4,
    "efficientnet_b0": 5,
    "mobilenetv3_small_050": 5,
}
"""Model of timm -> its levels."""
MORE = {
    "densenet121": 5,
    "regnety_002": 5,
    "mobilevit_xxs": 5,
    "resnetv2_18": 5,
    "fastvit_t8": 4,
    "pvt_v2_b0": 4,
    "efficientvit_b0": 4,
    "efficientvit_m0": 3,
    "vgg11": 6,
    "deit_tiny_distilled_patch16_224": 5,
    "deit3_small_patch16_224": 5,
    "dla34": 5,
    "davit_tiny": 4,
    "caformer_s18": 4,
    "cs3darknet_focus_s": 5,
    "edgenext_xx_small": 4,
    "focalnet_tiny_srf": 4,
    "ghostnet_050": 5,
    "hardcorenas_a": 5,
    "hgnetv2_b0": 4,
    "inception_next_atto": 4,
    "lcnet_050": 5,
    "mambaout_femto": 4,
    "mobileone_s1": 5,
    "nextvit_small": 4,
    "repvit_m0_9": 4,
    "res2net50_14w_8s": 5,
    "rexnet_100": 5,
    "starnet_s1": 4,
    "swinv2_tiny_window8_256": 4,
    "tiny_vit_5m_224": 4,
}
NO_CHAINS = (
    *("beit_base_patch16_224", "cait_xxs24_224", "coat_tiny", "convit_tiny", "convmixer_768_32", "crossvit_tiny_240"),
    *("cspnext_tiny", "xcit_nano_12_p8_224"),
)


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        yield


def maps_of_timm(trunk: Any, image: Tensor) -> list[Tensor]:
    """What timm itself returns, channels first; of a transformer behind each quarter of the blocks."""
    if hasattr(trunk, "model"):
        ends = [part.stop - 1 for part in groups(len(trunk.model.blocks))]
        options = {"indices": ends, "norm": False, "intermediates_only": True}
        found: list[Tensor] = trunk.model.forward_intermediates(image, **options)
        return found
    last = getattr(getattr(trunk, "output_fmt", None), "value", "NCHW") == "NHWC"
    return [one.permute(0, 3, 1, 2) if last else one for one in trunk(image)]


def filled(name: str) -> nn.Module:
    """A trunk whose normalisations are none of identity: timm starts some of them at zero, behind which all is."""
    trunk = create(name).eval()
    for parameter in trunk.parameters():
        if parameter.ndim == 1:
            parameter.add_(0.1 * torch.randn_like(parameter))
    return trunk


def check_equal(name: str, levels: int) -> None:
    trunk, image = filled(name), torch.rand(2, 3, 64, 96)
    theirs, ours = maps_of_timm(trunk, image), cut(trunk, name)
    assert len(ours.levels) == levels
    found, x = [], image
    for level in ours.levels:
        x = level.eval()(x)
        found.append(patches(x, ours.prefix))
    assert [one.shape[1] for one in found] == list(ours.channels)
    assert [round(64 / one.shape[2]) for one in found] == list(ours.strides)
    for one, other in zip(found[-len(theirs) :], theirs, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", QUICK)
def test_levels_give_the_maps_of_timm(name: str) -> None:
    check_equal(name, QUICK[name])


@pytest.mark.robustness
@pytest.mark.parametrize("name", MORE)
def test_levels_of_many_families_give_the_maps_of_timm(name: str) -> None:
    check_equal(name, MORE[name])


def test_levels_are_shown_by_their_modules() -> None:
    with torch.device("meta"):
        assert str(cut(create("resnet18"), "resnet18")) == "conv1 bn1 act1 | maxpool layer1 | layer2 | layer3 | layer4"
        shown = str(cut(create("vit_tiny_patch16_224"), "vit_tiny_patch16_224"))
        assert shown == "embedding | blocks_0_2 | blocks_3_5 | blocks_6_8 | blocks_9_11"


def test_nothing_works_in_place() -> None:
    """A map goes into several copies of the next level, and into heads."""
    trunk = cut(create("mobilenetv3_small_050"), "mobilenetv3_small_050")
    x = torch.rand(1, 3, 64, 64)
    for level in trunk.levels:
        before = x.clone()
        y = level(x)
        assert torch.equal(x, before)
        x = y


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hrnet_w18_small", "does not give HighResolutionNetFeatures as a chain of modules.*model=custom"),
        ("mixer_s16_224", "does not give MlpMixer as a chain"),
        *((name, "as a chain") for name in NO_CHAINS),
        ("vit_base_mci_224", "does not give VisionTransformer as a chain"),
        ("resnet81", "expected one of the .* models of timm .*; did you mean resnet18"),
        ("hf-hub:timm/resnet18", "expected one of the .* models of timm"),
        (None, "expected one of the .* models of timm"),
    ],
)
def test_what_is_no_chain_is_refused(name: Any, message: str) -> None:
    with torch.device("meta"), pytest.raises(UsageError, match=f"model.name={name}: .*{message}"):
        cut(create(name), name)


def test_without_timm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MachineError, match=r"model=timm needs timm, which is not installed .*'mtlbench\[timm\]'"):
        create("resnet18")


@pytest.mark.parametrize("size", [(33, 47), (16, 16), (64, 17)])
@pytest.mark.parametrize("name", ["test_vit", "resnet10t"])
def test_images_of_any_size(name: str, size: tuple[int, int]) -> None:
    trunk = cut(create(name), name)
    x = torch.rand(1, 3, *size)
    for level, stride in zip(trunk.levels, trunk.strides, strict=True):
        x = level.eval()(x)
        assert patches(x, trunk.prefix).shape[2:] == tuple(-(-side // stride) for side in size)


def test_a_trunk_of_a_fixed_size_says_so_and_can_be_built_for_another() -> None:
    """CoAtNet's attention has positions for a fixed number of pixels."""
    image, name = torch.rand(1, 3, 64, 64), "test_coatnet"

    def run(img_size: tuple[int, int] | None) -> Tensor:
        x = image
        for level in cut(create(name, img_size), name).levels:
            x = level(x)
        return x

    with pytest.raises(ModelError, match=r"model=timm: stages_2 does not take maps of 8 x 8 .* model\.img_size"):
        run(None)
    assert run((64, 64)).shape[2:] == (2, 2)
    with pytest.raises(UsageError, match=r"model.img_size=\(64, 64\): resnet18 is built for no size"):
        create("resnet18", (64, 64))


def test_several_maps_between_levels_are_refused() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor) -> list[Tensor]:
            return [x, x]

    with pytest.raises(ModelError, match="stem two gives a list of maps, expected one map"):
        Level({"stem": nn.Identity(), "two": Two()})(torch.rand(1, 3, 8, 8))


@pytest.mark.parametrize("prefix", [0, 1, 2, 5])
@pytest.mark.parametrize("width", [1, 2, 3, 7])
def test_tokens_come_back_from_a_map(prefix: int, width: int) -> None:
    height = 3
    tokens = torch.rand(2, prefix + height * width, 4)
    packed = to_map(tokens, prefix, width)
    assert packed.shape == (2, 4, rows_above(prefix, width) + height, width)
    assert torch.equal(to_tokens(packed, prefix), tokens)
    places = tokens[:, prefix:].unflatten(1, (height, width)).permute(0, 3, 1, 2)
    assert torch.equal(patches(packed, prefix), places)


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 6, 10, 12, 25])
def test_groups_are_even_and_leave_nothing_out(depth: int) -> None:
    parts = groups(depth)
    assert [number for part in parts for number in range(depth)[part]] == list(range(depth))
    sizes = [part.stop - part.start for part in parts]
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) == min(4, depth)
