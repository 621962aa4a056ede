"""Rules about what windows over pictures and sequences declare, and transforms of them. Layer: policy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from safeload.policy._finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safeload.inspection.graph.info import Node
    from safeload.policy.graph._subject import Subject

_WINDOWED = re.compile(r"Conv|Pool|Dilation2D|Extract(?:Image|Volume)Patches")
"""Names of ops with windows. Source: op definitions of TensorFlow 2.21."""
_WINDOW, _PADDING = (1, 1 << 24), (0, (1 << 31) - 1)
_BOUNDS = {
    "dilations": _WINDOW, "explicit_padding": _PADDING, "explicit_paddings": _PADDING, "ksize": _WINDOW,
    "ksizes": _WINDOW, "lhs_dilation": _WINDOW, "padding_list": _PADDING, "rates": _WINDOW, "rhs_dilation": _WINDOW,
    "strides": _WINDOW, "window_strides": _WINDOW,
}  # fmt: skip
"""Attributes of these that are lists of numbers, and the least and the most that a number may be.

TensorFlow ends the process where it divides by zero, and where a number is no int32; larger windows take minutes.

Source: tensorflow/core/common_runtime/mkl_layout_pass.cc (2.21), ``CopyAttrsConv``.
"""
_TRANSPOSED = re.compile(r"Conv.*BackpropInput")
_MOST_TRANSPOSED = 1 << 12
"""Strides of these: time grows with the square, from 0.25 s here to minutes (measured, 2.21)."""
_SHOWN = 6
_SOUNDS = {
    "even_smoothing": (0, 1), "frame_stride": (1, 16), "gain_bits": (8, 24), "left_context": (0, 32),
    "lower_band_limit": (0, 900), "min_signal_remaining": (0, 1), "num_channels": (4, 64), "odd_smoothing": (0, 1),
    "out_scale": (1, 256), "pcan_offset": (1, 200), "pcan_strength": (0, 1), "right_context": (0, 32),
    "sample_rate": (8000, 48_000), "scale_shift": (0, 10), "smoothing_bits": (4, 16), "upper_band_limit": (1000, 9000),
    "window_size": (10, 100), "window_step": (1, 100),
}  # fmt: skip
"""Attributes of AudioMicrofrontend, and the least and the most with which it was tried on sounds of any length.

Beyond, it divides by zero, and writes outside of its memory (some hundred tries, 2.21), at no bound that its sources
would tell: tensorflow/lite/experimental/microfrontend. Models that recognise words take 30 ms every 20 ms.
"""
_SIZE, _STEP = 25, 10
"""Milliseconds where nothing else is written. Source: its op definition."""
_TRANSFORMS = ("IRFFT", "IRFFT2D", "IRFFT3D", "RFFT", "RFFT2D", "RFFT3D")
"""Ops whose second input is a length for each axis. Source: ``DoFFT`` in tensorflow/core/kernels/fft_ops.cc (2.21)."""


def impossible_windows(subject: Subject) -> Iterator[Finding]:
    """Find convolutions and the like with numbers that TensorFlow does not survive, or not soon."""
    for node in subject.graph.nodes(*filter(_WINDOWED.search, subject.graph.by_op)):
        attributes = node.proto.attr
        for key in filter(_BOUNDS.__contains__, attributes):
            numbers, (least, most) = attributes[key].list.i[:], _BOUNDS[key]
            most = _MOST_TRANSPOSED if key == "strides" and _TRANSPOSED.search(node.op) else most
            if numbers and not least <= min(numbers) <= max(numbers) <= most:
                yield _impossible(
                    subject,
                    node,
                    f"declares {key} that no window has, at which TensorFlow may end the process",
                    f"{key}={numbers[:_SHOWN]}",
                )


def impossible_sounds(subject: Subject) -> Iterator[Finding]:
    """Find spectra of sounds with numbers that TensorFlow may not survive."""
    for node in subject.graph.nodes("AudioMicrofrontend"):
        numbers = {key: value.i or value.f for key, value in node.proto.attr.items() if key in _SOUNDS}
        wrong = [key for key, number in numbers.items() if not _SOUNDS[key][0] <= number <= _SOUNDS[key][1]]
        if numbers.get("window_step", _STEP) > numbers.get("window_size", _SIZE):
            wrong.append("window_step")
        if wrong:
            yield _impossible(
                subject,
                node,
                f"declares {wrong[0]} beyond what was tried, where TensorFlow may end the process",
                f"{wrong[0]}={numbers.get(wrong[0], _STEP)}",
            )


def empty_transforms(subject: Subject) -> Iterator[Finding]:
    """Find Fourier transforms of no length, which TensorFlow does not survive."""
    for node in subject.graph.nodes(*_TRANSFORMS):
        lengths = subject.facts.reference(node.body, node.inputs[1]).ints if len(node.inputs) > 1 else None
        if lengths and min(lengths) < 1:
            yield _impossible(
                subject,
                node,
                "transforms to a length of zero, at which TensorFlow ends the process",
                f"fft_length={lengths[:_SHOWN]}",
            )


def _impossible(subject: Subject, node: Node, message: str, evidence: str) -> Finding:
    return subject.finding(
        node, rule="impossible-window", severity=Severity.DANGEROUS, message=message, evidence=evidence
    )
