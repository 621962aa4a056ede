"""Fold measured runs into ``support.json``, from which ``make_formats.py`` makes the support table.

    python docs/make_support.py RESULTS.jsonl [--without-tf-keras]

Run it with the interpreter that was measured: the column is named after the releases that it has installed. A run is
JSON lines, one for each model that a past release wrote: ``row`` (the release), ``format`` (of the model), ``expect``
(only ``call`` is counted), ``outcome`` (``correct``: the outputs are those that the release recorded) and ``code``.
"""

# ruff: noqa: INP001 - a script

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

SUPPORT = Path(__file__).resolve().parent / "support.json"

_FORMATS = (
    (r"h5|h5_dotkeras", "keras-hdf5"),
    (r"v3", "keras-archive"),
    (r"json_weights.*|weights_only|yaml_weights", "weights-hdf5"),
    (r"tf_ckpt", "checkpoint"),
    (r"frozen_pb", "frozen-graph"),
    (r"tf1_ckpt", "tf1-checkpoint"),
    (r"tflite", "tflite"),
    (r"sm_archive", "archive"),
    (r"sm_.*", "saved-model"),
)
_PRODUCERS = (
    (r"k1.*", "Keras 1"),
    (r"k2.*", "Keras 2"),
    (r"k3.*", "Keras 3"),
    (r"tfk.*", "tf_keras 2.16, 2.21"),
    (r"tf1.*", "TensorFlow 1"),
    (r"tf2(1[0-5]|\d)", "TensorFlow 2.0 to 2.15"),
    (r"tf2.*", "TensorFlow 2.20"),
)


def _named(names: tuple[tuple[str, str], ...], text: str) -> str:
    return next(name for pattern, name in names if re.fullmatch(pattern, text))


def column(*, has_tf_keras: bool) -> str:
    """Return the name of the measured runtime."""
    keras, tensorflow = (".".join(version(name).split(".")[:2]) for name in ("keras", "tensorflow"))
    return f"Keras {keras}, TensorFlow {tensorflow}" + ("" if has_tf_keras else ", no tf_keras")


def folded(lines: list[str]) -> Mapping[str, Mapping[str, int]]:
    """Return row → outcome → how many models; refusals count under their code."""
    rows: dict[str, Counter[str]] = {}
    for result in map(json.loads, lines):
        if result["expect"] == "call":
            name = f"{_named(_FORMATS, result['format'])} | {_named(_PRODUCERS, result['row'])}"
            is_right = result["outcome"] in {"correct", "reordered", "called"}
            outcome = "correct" if is_right else result["code"] or result["outcome"]
            rows.setdefault(name, Counter())[outcome] += 1
    return rows


def main() -> None:
    """Replace one column of the table's data."""
    parser = argparse.ArgumentParser()
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--without-tf-keras", action="store_true")
    options = parser.parse_args()
    lines = [line for path in options.results for line in path.read_text("utf-8").splitlines()]
    support = json.loads(SUPPORT.read_text("utf-8")) if SUPPORT.exists() else {}
    support[column(has_tf_keras=not options.without_tf_keras)] = folded(lines)
    SUPPORT.write_text(json.dumps(support, indent=1, sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    main()
