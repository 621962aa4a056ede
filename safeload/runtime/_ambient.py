"""What the process has set must not change what a file means.

Owns the settings of Keras during a build. Layer: runtime.
"""

from __future__ import annotations

import os
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
