"""Arrays of a weights file → the variables of a built model, exactly.

Every array is used or known to be no weight, every weight is set, and shapes and
names agree; otherwise nothing is returned. Layer: runtime.
"""

from __future__ import annotations

from typing import Any

from safeload.dialects import NormalForm
from safeload.readers import KerasArtifact, WeightLayout
from safeload.runtime._keras._package import flat_layers, own_variables
from safeload.runtime._weights._assets import load_assets, require_vocabularies
from safeload.runtime._weights._checkpoint import set_checkpoint
from safeload.runtime._weights._ledger import Ledger
from safeload.runtime._weights._legacy import set_legacy
from safeload.runtime._weights._paths import set_by_paths
from safeload.runtime._weights._quantized import require_todays_quantization, take_calibrations
from safeload.runtime._weights._shared import fill_shared
from safeload.runtime._weights._states import require_states
from safeload.runtime._weights._tables import take_tables

__all__ = ["set_weights"]

_SETTERS = {
    WeightLayout.LEGACY_HDF5: set_legacy,
    WeightLayout.OBJECT_PATHS: set_by_paths,
    WeightLayout.CHECKPOINT: set_checkpoint,
}


def set_weights(model: Any, artifact: KerasArtifact, normal: NormalForm | None) -> None:
    """Give *model* the weights and assets of *artifact*.

    Args:
        model: A built Keras or tf_keras model.
        artifact: Holds the weight index and the open file.
        normal: The config that the model was built from; None where the caller built it.

    Raises:
        IncompatibleVersionError: ``incompatible-version``. The saver arranged quantized weights otherwise.
        LoadFailedError: ``load-failed``. The arrays and the variables do not agree; the message lists them.
    """
    require_todays_quantization(model, normal)
    ledger = Ledger(model, artifact)
    load_assets(model, artifact, normal)
    if artifact.weights.layout is WeightLayout.CHECKPOINT:
        take_tables(model, artifact, normal, ledger)
    require_vocabularies(model, artifact)
    if artifact.weights.layout is not WeightLayout.NONE:
        _SETTERS[artifact.weights.layout](model, artifact, normal, ledger)
        if normal is not None and ledger.wanted and not ledger.unread:
            fill_shared(model, ledger)
        _finalize(model)
    require_states(model, artifact)
    ledger.close()
    take_calibrations(model, artifact.where)


def _finalize(model: Any) -> None:
    """Let layers compute what they derive from their weights, as `Normalization` does from its statistics."""
    for layer in flat_layers(model):
        if hasattr(layer, "finalize_state") and own_variables(layer):
            layer.finalize_state()
