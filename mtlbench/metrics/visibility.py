"""How visible a perturbation is: mean L2 distance, PSNR and SSIM per image."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mtlbench.constants import GREY_LEVELS

WINDOW = 7
K1, K2 = 0.01, 0.03


def visibility(clean: Tensor, attacked: Tensor) -> dict[str, Tensor]:
    """Distances between images [B, 3, H, W] in [0, 1].

    Returns:
        ``l2``: root mean square difference in grey levels of 255, [B]; ``psnr``: in dB, infinite for equal images,
        [B]; ``ssim``: in [-1, 1], 1 for equal images, [B].
    """
    square = (attacked - clean).double().square().mean((1, 2, 3))
    return {"l2": GREY_LEVELS * square.sqrt(), "psnr": -10 * square.log10(), "ssim": ssim(clean, attacked)}


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004) [B], mean over channels and windows of 7x7, range 1."""
    window = min(WINDOW, *a.shape[-2:])
    count = window**2
    a, b = a.double(), b.double()
    mean_a, mean_b, aa, bb, ab = (F.avg_pool2d(x, window, 1) for x in (a, b, a * a, b * b, a * b))
    unbias = count / (count - 1)
    var_a, var_b = unbias * (aa - mean_a**2), unbias * (bb - mean_b**2)
    cov = unbias * (ab - mean_a * mean_b)
    c1, c2 = K1**2, K2**2
    alike = (2 * mean_a * mean_b + c1) * (2 * cov + c2)
    scale = (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    return torch.mean(alike / scale, (1, 2, 3))
