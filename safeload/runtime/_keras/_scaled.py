"""How much LoRA adds to a layer's weights, which Keras forgets when it builds Dense and Embedding. Layer: runtime.

Both record ``lora_alpha``, take it, and call ``enable_lora(self.lora_rank)``, which sets it to the rank. An archive
has the sum as the weights; an HDF5 file has the parts.

Source: ``build`` in keras/src/layers/core/dense.py and embedding.py of 3.10.0 and 3.15.1; einsum_dense.py passes it.
"""

from __future__ import annotations

from typing import Any

from safeload.dialects import NormalForm
from safeload.errors import IncompatibleVersionError
from safeload.inspection import dicts_in
from safeload.runtime._keras._package import flat_layers


def give_recorded_alphas(model: Any, normal: NormalForm | None, where: str) -> None:
    """Let layers of *model* scale what LoRA adds as their config says.

    Raises:
        IncompatibleVersionError: ``incompatible-version``. Layers of one name have several scales.
    """
    layers = [layer for layer in flat_layers(model) if getattr(layer, "lora_enabled", False)]
    recorded: dict[str, set[float]] = {}
    for config in dicts_in(normal.config) if layers and normal is not None else ():
        alpha = config.get("lora_alpha")
        if isinstance(alpha, int | float):
            recorded.setdefault(str(config.get("name")), set()).add(alpha)
    for layer in layers:
        alphas = recorded.get(layer.name, set())
        if len(alphas) > 1:
            problem = f"layers named {layer.name!r} have several values of lora_alpha"
            raise IncompatibleVersionError(where, problem=problem, hint="save the model as .keras, which merges LoRA")
        if alphas:
            (layer.lora_alpha,) = alphas
