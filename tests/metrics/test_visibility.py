"""Visibility of a perturbation against scikit-image."""

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from mtlbench.metrics.visibility import visibility


@pytest.mark.parametrize("size", [(40, 33), (7, 7), (64, 64)])
def test_equal_to_scikit_image(size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    clean = torch.rand(3, 3, *size, generator=generator)
    attacked = (clean + 0.05 * torch.randn(clean.shape, generator=generator)).clamp(0, 1)
    found = visibility(clean, attacked)
    for i in range(3):
        a, b = (x[i].permute(1, 2, 0).double().numpy() for x in (clean, attacked))
        assert found["ssim"][i].item() == pytest.approx(
            structural_similarity(a, b, channel_axis=2, data_range=1.0), abs=1e-9
        )
        assert found["psnr"][i].item() == pytest.approx(peak_signal_noise_ratio(a, b, data_range=1.0), abs=1e-5)
        assert found["l2"][i].item() == pytest.approx(255 * np.sqrt(((a - b) ** 2).mean()), rel=1e-5)


def test_equal_images() -> None:
    x = torch.rand(2, 3, 16, 16)
    found = visibility(x, x)
    assert found["l2"].tolist() == [0, 0]
    assert torch.isinf(found["psnr"]).all()
    assert found["ssim"] == pytest.approx(torch.ones(2, dtype=torch.float64))


def test_images_smaller_than_the_window() -> None:
    found = visibility(torch.rand(1, 3, 4, 5), torch.rand(1, 3, 4, 5))
    assert torch.isfinite(found["ssim"]).all()
