"""Pictures as data URIs that a page needs no file for: WebP, lossless except for large photographs."""

import base64

import cv2
import numpy as np

LOSSLESS = 101
"""OpenCV's WebP is lossless above a quality of 100."""

GOOD = 90
LARGE = 24_000
"""Bytes; photographs that take more without loss are coded with it."""


def exact(picture: np.ndarray) -> str:
    """A picture [h, w, 3] uint8 RGB as a data URI, bit for bit."""
    return _uri(_webp(picture, LOSSLESS))


def photograph(picture: np.ndarray) -> str:
    """A photograph [h, w, 3] uint8 RGB as a data URI; with loss if it is large."""
    lossless = _webp(picture, LOSSLESS)
    return _uri(lossless if len(lossless) <= LARGE else min(lossless, _webp(picture, GOOD), key=len))


def _webp(picture: np.ndarray, quality: int) -> bytes:
    bgr = np.ascontiguousarray(picture[..., ::-1])
    done, content = cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, quality])
    assert done
    return content.tobytes()


def _uri(content: bytes) -> str:
    return f"data:image/webp;base64,{base64.b64encode(content).decode()}"
