"""What is measured: the models and their loaders, and the rows of the table that follow from them.

A ratio is the peer's time divided by that of safeload, so more is better everywhere; "at most 1.25 times its time" is
a floor of 0.8.
"""

from __future__ import annotations

from typing import NamedTuple


class Case(NamedTuple):
    """What is measured together, on one file.

    Attributes:
        quantity: Key of `worker.QUANTITIES`.
        model: Name of the model.
        form: How it is saved.
        peers: Sides of the worker that safeload is held against.
    """

    quantity: str
    model: str
    form: str
    peers: tuple[str, ...]

    @property
    def name(self) -> str:
        """How the command line and the table name it."""
        return f"{self.quantity} {self.model} {self.form}"


class Row(NamedTuple):
    """A ratio of the table.

    Attributes:
        case: What it is measured by.
        field: What of it, as the worker calls it.
        peer: Held against which side.
        floor: What must be reached; None for what is only reported.
        aim: What should be reached.
    """

    case: Case
    field: str
    peer: str
    floor: float | None = None
    aim: float | None = None

    @property
    def name(self) -> str:
        """How the table names it."""
        return f"{self.field}, {self.case.model} {self.case.form}"


_KERAS_LOADS = {
    name: Case("load", model, form, ("keras",))
    for model in ("mobilenet", "resnet", "inception", "bert", "mlp-1gb")
    for form in (".keras", ".h5")
    for name in (f"{model}{form}",)
}
_FLOORS = {"bert": (2.4, 4), "mlp-1gb": (1.7, 4)}

_SAVED_MODELS = {
    Case("load", "mobilenet", "tf_keras", ("saved_model",)): (15, 40),
    Case("load", "functions", "module", ("saved_model",)): (25, 40),
    Case("load", "mobilenet", "export", ("saved_model",)): (8, 20),
    Case("load", "lstm", "tf_keras", ("saved_model",)): (None, None),
    Case("load", "mlp", "export", ("saved_model",)): (2, 5),
    Case("load", "table", "module", ("saved_model",)): (2.5, 5),
}
_KERAS_CALL = Case("call", "mlp", ".keras", ("eager", "concrete"))
_SIGNATURE_CALL = Case("call", "mlp", "export", ("signature",))
_COLD = {
    Case("cold", "mobilenet", ".keras", ("keras",)): (1.7, 3),
    Case("cold", "mobilenet", "tf_keras", ("tf_keras",)): (2, 3),
    Case("cold", "mobilenet", "export", ("saved_model",)): (None, None),
}

CASES: tuple[Case, ...] = (*_KERAS_LOADS.values(), *_SAVED_MODELS, _KERAS_CALL, _SIGNATURE_CALL, *_COLD)
"""Everything that is measured in pairs of processes."""

ROWS: tuple[Row, ...] = (
    *(Row(case, "load", "keras", *_FLOORS.get(case.model, (1.5, 3))) for case in _KERAS_LOADS.values()),
    *(Row(case, "load", "saved_model", *limits) for case, limits in _SAVED_MODELS.items()),
    *(Row(case, "load and first call", "saved_model") for case in _SAVED_MODELS),
    Row(_KERAS_CALL, "call against model(x)", "eager", 18, 40),
    Row(_KERAS_CALL, "call against the ConcreteFunction", "concrete", 0.8, 1.25),
    Row(_SIGNATURE_CALL, "call against the signature", "signature", 0.8, 1.25),
    Row(_KERAS_CALL, "first call against tf.function's", "concrete", 0.91, 1.43),
    *(Row(case, "process to first prediction", case.peers[0], *limits) for case, limits in _COLD.items()),
)
"""Every ratio, in the order of the table."""

MEMORY = tuple(_KERAS_LOADS[name] for name in ("resnet.keras", "resnet.h5", "bert.keras", "bert.h5"))
MEMORY += tuple(_KERAS_LOADS[name] for name in ("mlp-1gb.keras", "mlp-1gb.h5"))
"""Loads of weights of 100 MB or more, whose peak memory counts: at most 1.15 times the weights, better 1.02."""

INSPECTED = (*_KERAS_LOADS.values(), *_SAVED_MODELS)
"""Loads of which inspection and judgement take a share: at most 10 % or 50 ms, whichever is more; better 2 %."""


class Look(NamedTuple):
    """A model that is inspected in process.

    Attributes:
        model: Name of the model.
        form: How it is saved.
        peer: Side whose load is reported beside it.
        bound: Seconds that an inspection may take.
    """

    model: str
    form: str
    peer: str
    bound: float

    @property
    def name(self) -> str:
        """How the table names it."""
        return f"{self.model} {self.form}"


_ARRAYS = 400
LOOKS = (
    Look("mlp-1gb", ".h5", "keras", 0.02 + 0.0001 * 8),
    Look("mlp-1gb", ".keras", "keras", 0.02),
    Look("arrays-1gb", ".h5", "keras", 0.02 + 0.0001 * _ARRAYS),
    Look("arrays-1gb", ".keras", "keras", 0.02 + 0.0001 * _ARRAYS),
    Look("graph", "module", "saved_model", 0.1),
)
"""Models whose weights or graphs are large: of HDF5, each of the arrays may take a tenth of a millisecond."""

SHOWN = (".h5", ".keras", "export")
"""Formats of which ``safeload show`` is held against ``import tensorflow``: at least 8 times cheaper."""

GROWTH = ("weights", "layers", "functions", "nodes")
"""Series of models of growing size; see `growth`."""
