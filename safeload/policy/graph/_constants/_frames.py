"""The loops of TensorFlow 1: which nodes of a body are in which frame. Layer: policy.

Source: tensorflow/core/kernels/control_flow_ops.cc and python/ops/control_flow_ops.py (TensorFlow 2.21): tensors come
into a frame by ``Enter`` and leave it by ``Exit``; the ``frame_name`` of the former names it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from safeload.inspection.graph.info import reference_producer

if TYPE_CHECKING:
    from safeload.inspection.graph.info import Body, Node

OUTSIDE = b""
"""The frame of nodes that are in none."""


class Frames:
    """The frames of one body.

    Args:
        body: The graph or a function.
        entries: Its ``Enter`` nodes.

    Attributes:
        members: The nodes of each frame but for those of frames inside of it; nodes outside are left out.
    """

    def __init__(self, body: Body, entries: list[Node]) -> None:
        self._frames: dict[str, bytes] = {}
        self.members: defaultdict[bytes, list[Node]] = defaultdict(list)
        self._parents: dict[bytes, bytes] = {}
        self._depths: dict[bytes, int] = {}
        if entries:
            self._follow(body, entries)
        for node in entries:
            frame = self.of(reference_producer(node.inputs[0])) if node.inputs else OUTSIDE
            self._parents.setdefault(_name(node), frame)

    def of(self, name: str) -> bytes:
        """Return in which frame the node *name* is executed."""
        return self._frames.get(name, OUTSIDE)

    def around(self, node: Node) -> bytes:
        """Return the frame that the loop *node* is in: for a ``LoopCond`` the one around its own."""
        frame = self.of(node.name)
        return self._parents.get(frame, OUTSIDE) if node.op == "LoopCond" else frame

    def depth(self, frame: bytes) -> int:
        """Return how many frames are around *frame*, itself included."""
        way: list[bytes] = []
        while frame != OUTSIDE and frame not in self._depths and len(way) <= len(self._parents):
            way.append(frame)
            frame = self._parents.get(frame, OUTSIDE)
        depth = self._depths.get(frame, 0)
        for inner in reversed(way):
            self._depths[inner] = depth = depth + 1
        return depth

    def _follow(self, body: Body, entries: list[Node]) -> None:
        users: defaultdict[str, list[Node]] = defaultdict(list)
        for node in body.nodes:
            for reference in node.inputs:
                users[reference_producer(reference)].append(node)
        pending = [(node, _name(node)) for node in entries]
        while pending:
            node, frame = pending.pop()
            if node.name in self._frames:
                continue
            self._frames[node.name] = frame
            self.members[frame].append(node)
            pending.extend((user, frame) for user in users[node.name] if node.op != "Exit" and user.op != "Enter")


def _name(enter: Node) -> bytes:
    value = enter.proto.attr.get("frame_name")
    return b"/" + bytes(value.s if value is not None else b"")
