"""What the process has set must not change what a file means.

Owns the settings of Keras during a build. Layer: runtime.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from safeload.errors import IncompatibleVersionError


def require_tensorflow_backend(where: str, keras: ModuleType | None = None) -> None:
    """Refuse to build on another backend than TensorFlow.

    Without *keras*, which is not imported yet, the environment tells: importing another backend may fail.

    Raises:
        IncompatibleVersionError: ``incompatible-version``. KERAS_BACKEND or keras.json chose another backend.
    """
    backend = keras.backend.backend() if keras is not None else os.environ.get("KERAS_BACKEND") or "tensorflow"
    if backend != "tensorflow":
        raise IncompatibleVersionError(
            where,
            problem=f"Keras runs on the backend {backend!r} in this process, and safeload's callables are TensorFlow's",
            hint="start Python with KERAS_BACKEND=tensorflow (or unset)",
        )


@contextmanager
def plain_policy(keras: ModuleType) -> Iterator[None]:
    """Build under the dtype policy float32, whatever the process has set.

    Keras 3 keeps the policy for each thread; tf_keras for the process, so there it is put back at the end.
    """
    get, put = _policy_functions(keras)
    before = get()
    put("float32")
    try:
        yield
    finally:
        put(before)


def _policy_functions(keras: ModuleType) -> tuple[Any, Any]:
    if keras.__name__ == "tf_keras":
        return keras.mixed_precision.global_policy, keras.mixed_precision.set_global_policy
    from keras.src.backend.common import global_state  # the public getter would fill in a default

    return (
        lambda: global_state.get_global_attribute("dtype_policy"),
        lambda policy: _set_policy(keras, global_state, policy),
    )


def _set_policy(keras: ModuleType, global_state: Any, policy: Any) -> None:
    found = keras.dtype_policies.DTypePolicy(policy) if isinstance(policy, str) else policy
    global_state.set_global_attribute("dtype_policy", found)


@contextmanager
def names_apart(keras: ModuleType, config: Any) -> Iterator[None]:
    """Let what Keras 3 names by itself during a build have other names than the layers of *config*.

    Masks are computed by operations that are part of the model. Counters name them and do not know the names in a
    config: the mask of a layer ``concatenate`` would be ``concatenate``, too, and Keras refuse the model. The counters
    of the process are put back. tf_keras has no such operations.

    Source: keras/src/utils/naming.py (3.15), ``uniquify``; keras/src/ops/function.py, ``map_graph``.
    """
    if keras.__name__ == "tf_keras":
        yield
        return
    from keras.src.backend.common import global_state

    before = global_state.get_global_attribute("object_name_uids")
    global_state.set_global_attribute("object_name_uids", _counters_after(config))
    try:
        yield
    finally:
        global_state.set_global_attribute("object_name_uids", before)


@contextmanager
def scopes_closed() -> Iterator[None]:
    """Close the name scopes that Keras 3 leaves open in this thread when a call fails.

    TensorFlow refuses layer names such as ``dense_é`` while it traces, and Keras notes a scope before it enters it.

    Source: ``name_scope.__enter__`` in keras/src/backend/tensorflow/core.py (3.15).
    """
    open_before = len(_name_scopes())
    try:
        yield
    finally:
        del _name_scopes()[open_before:]


def _name_scopes() -> list[Any]:
    state = sys.modules.get("keras.src.backend.common.global_state")
    return [] if state is None else state.get_global_attribute("name_scope_stack") or []


def _counters_after(config: Any) -> defaultdict[str, int]:
    """Return Keras's counters of names as if it had given the names in *config*."""
    counters: defaultdict[str, int] = defaultdict(int)
    pending = [config]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            name = value.get("name")
            if isinstance(name, str):
                base, _, number = name.rpartition("_")
                counters[name] = max(counters[name], 1)
                if base and number.isdecimal():
                    counters[base] = max(counters[base], int(number[:9]) + 1)
            pending.extend(value.values())
        elif isinstance(value, (list, tuple)):
            pending.extend(value)
    return counters
