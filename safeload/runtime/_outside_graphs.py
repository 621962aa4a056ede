"""What loads while somebody else builds a graph, loads outside of it. Layer: runtime."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf
from tensorflow.python.eager import context

from safeload.errors import LoadFailedError

_NOT_EAGER = (
    "run eagerly: without tf.compat.v1.disable_eager_execution() and disable_v2_behavior() in this process, and "
    "outside of `with tf.Graph().as_default()`"
)


@contextmanager
def outside_graphs() -> Iterator[None]:
    """Leave the graph that is being built, of `tf.function` or of TensorFlow 1, if there is one.

    `tf.init_scope` leaves no graph of TensorFlow 1, and keeps the creator of variables that `tf.function` puts into its
    graph; in a graph of its own there is none. A strategy is noted in the graph, too, so under one that graph stays.

    Source: `init_scope` in framework/ops.py, `variable_creator_scope` and `_initialize` in
    eager/polymorphic_function/polymorphic_function.py, `_get_per_thread_mode` in distribute/distribute_lib.py
    (TensorFlow 2.21).
    """
    is_inside = not tf.executing_eagerly() or tf.compat.v1.get_default_graph().building_function
    is_eager_process = context.default_execution_mode == context.EAGER_MODE
    with tf.init_scope():
        if is_inside and is_eager_process and not tf.distribute.has_strategy():
            with tf.Graph().as_default(), context.eager_mode():
                yield
        else:
            yield


def require_eager(where: str) -> None:
    """Check that values are computed here, and not operations added to a graph of TensorFlow 1.

    Raises:
        LoadFailedError: ``load-failed``. Eager execution is off in this process.
    """
    if not tf.executing_eagerly():
        raise LoadFailedError(where, problem="eager execution is off in this process", hint=_NOT_EAGER)


def refuse_graph(error: Exception, where: str) -> None:
    """Explain *error* of a call if a graph of TensorFlow 1 is being built, which takes no values of variables.

    Raises:
        LoadFailedError: ``load-failed``. That is so.
    """
    if not tf.executing_eagerly() and not tf.compat.v1.get_default_graph().building_function:
        problem = "it was loaded eagerly, and is called where a graph of TensorFlow 1 is built"
        raise LoadFailedError(where, problem=problem, hint=_NOT_EAGER) from error
