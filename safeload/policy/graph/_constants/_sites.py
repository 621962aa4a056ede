"""What makes a tensor, found through calls of functions and iterations of loops. Layer: policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from safeload.inspection.graph.info import Body, GraphInfo, Node, output_index, reference_producer

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOPS = frozenset({"While", "StatelessWhile"})
"""Loops whose condition and body are functions; those of TensorFlow 1 are frames around a ``LoopCond``."""
CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
CONDITIONS = ("If", "StatelessIf", "Case", "StatelessCase")
"""Calls whose first input chooses the function; the rest are its arguments."""
_FIRST_ARGUMENT = {**dict.fromkeys(CALLS | LOOPS, 0), **dict.fromkeys(CONDITIONS, 1)}
"""Which input of a call is the first argument of what it calls. Source: op definitions of TensorFlow 2.21."""
BRANCHES = frozenset({*CONDITIONS, "Merge"})
"""Calls of one function of several, which return the same number of tensors; what joins those of TensorFlow 1."""
AFTER = LOOPS | {"Exit"}
"""What a loop passes on to what follows it."""
SEVERAL = {
    "IdentityN": (),
    "ListDiff": ("out", "idx"),
    "Split": (),
    "SplitV": (),
    "TopKV2": ("values", "indices"),
    "Unique": ("y", "idx"),
    "Unpack": (),
}
"""Ops whose outputs are told apart: their names, none where they are one list. Source: as above."""
_MAX_STEPS = 300_000
"""Calls, loops and their results of one graph that are gone through; the largest public graph has some thousands."""
MAX_CONTEXT = 64
"""Calls and iterations in each other that are followed: each takes as much memory as there are around it."""

WATCHED = 3
"""Iterations that show how a loop goes on."""


Loop = tuple[str, str]
"""What a loop is known by: its body, and its ``While`` or ``LoopCond``."""


class Step(NamedTuple):
    """A call of a function that several nodes call, or an iteration of a loop.

    Attributes:
        body: Which body holds the call or the loop.
        name: Node that calls, the ``While``, or the ``LoopCond``.
        iteration: Which iteration of the loop, from 0.
    """

    body: str
    name: str
    iteration: int = 0


Context = tuple[Step, ...]
"""The calls and iterations in which a node is executed, innermost last, as far as they make a difference."""


class Site(NamedTuple):
    """A node where it is executed, or one of its outputs where these are told apart.

    What an op makes up to call its functions with, as a dataset does, is its output ``-1``.
    """

    node: Node
    context: Context = ()
    output: int = 0

    def data(self) -> Iterator[str]:
        """Yield the inputs that are no control dependencies."""
        return (reference for reference in self.node.inputs if not reference.startswith("^"))


class _Place(NamedTuple):
    body: str
    reference: str
    context: Context


class Sites:
    """Finds the nodes of one graph that make tensors.

    Args:
        graph: Its facts.

    Attributes:
        graph: The same.
        iterations: How often loops run exactly, by body and name, where that is known: what they return is found.
        repetitions: How often longer loops run.
        left: How many more calls, loops and results of them are gone through.
    """

    def __init__(self, graph: GraphInfo) -> None:
        self.graph = graph
        self.iterations: dict[Loop, int] = {}
        self.repetitions: dict[Loop, float] = {}
        self.left = _MAX_STEPS

    def input(self, site: Site, index: int) -> Site | None:
        """Return what makes the input *index* of *site*."""
        inputs = site.node.inputs
        return self.find(site.node.body, inputs[index], site.context) if index < len(inputs) else None

    def through(self, site: Site | None, ops: frozenset[str]) -> Site | None:
        """Return what makes the first input of *site*, and of what that leads to, as long as it is one of *ops*."""
        seen: set[Site] = set()
        while site is not None and site.node.op in ops and site not in seen:
            seen.add(site)
            site = self.input(site, 0)
        return site

    def find(self, body: str, reference: str, context: Context = ()) -> Site | None:
        """Return what makes the tensor *reference* of *body*, None if that is not known.

        Outside of any iteration the arguments of a loop are those of its first one, which happens in any case.
        """
        node = self.graph.bodies[body].by_name.get(reference.partition(":")[0])
        if node is not None and node.op not in _FRAME_OPS and not node.calls:
            if node.op in SEVERAL or node.op == "Const":
                return _executed(node, reference, context)
            return Site(node, context)  # without another call, for this is asked most
        return self._followed(_Place(body, reference, context))

    def _followed(self, place: _Place | None) -> Site | None:
        while place is not None and self.left > 0:
            if len(place.context) > MAX_CONTEXT:
                self.left = 0
                break
            made: Site | None = None
            self.left -= 1
            owner = self.graph.bodies[place.body]
            name = reference_producer(place.reference)
            node = owner.by_name.get(name)
            if node is None and not place.context and self._only_call(owner) is None:
                return None  # quicker than asking which argument it is
            argument = owner.positions.get(name)
            if argument is not None:
                place, made = self._argument(owner, argument, place.context)
            elif node is None:
                return None
            elif node.op in CALLS or node.op in self.graph.bodies:
                place = self._called(node, place.reference, place.context)
            elif node.op in LOOPS:
                made = Site(node, place.context, output_index(place.reference))
                place = self.after_loop(made)
            elif node.op in _FRAME_OPS:
                made = Site(node, place.context)
                place = _FRAME_OPS[node.op](self, node, place.context)
            else:
                return _executed(node, place.reference, place.context)
            if place is None:
                return made  # what a long loop returns, or nothing
        return None

    def after_loop(self, site: Site) -> _Place | None:
        """Return what *site*, a short loop or an ``Exit`` of one, returns."""
        times = self.iterations.get(self.loop_of(site.node))
        return None if times is None else self._passed_on(site, times)

    def results(self, site: Site) -> list[Site | None]:
        """Return what *site*, one of `BRANCHES`, may return: what each of its functions makes."""
        node, context, output = site
        if not node.calls:
            return [self.find(node.body, reference, context) for reference in site.data()]
        return [self._followed(self._returned(node, name, output, context)) for name in node.calls]

    def choice(self, site: Site) -> Site | None:
        """Return what chooses the branch of *site*, one of `BRANCHES`, where that is known."""
        return self.input(site, 0) if site.node.calls else None

    def first_results(self, site: Site) -> list[Site | None]:
        """Return what *site*, a loop or an ``Exit`` of one, passes on from each of its first iterations."""
        return [self._followed(self._passed_on(site, iteration)) for iteration in range(1, WATCHED + 1)]

    def condition(self, site: Site, iteration: int) -> Site | None:
        """Return what makes the condition of a loop in an iteration; *site* is the loop, or leaves it."""
        owner, name = self.loop_of(site.node)
        context = (*site.context, Step(owner, name, iteration))
        if site.node.op in LOOPS:
            function = self.function_of(site.node, "cond")
            return self.find(function.name, function.returns[0], context) if function and function.returns else None
        loop = self.graph.bodies[owner].by_name.get(name)
        return self.find(loop.body, loop.inputs[0], context) if loop is not None and loop.inputs else None

    def repeats(self, site: Site) -> float:
        """Return how often the loop runs that *site* is, or leaves; 0 if that is not known."""
        return self.repetitions.get(self.loop_of(site.node), 0)

    def loop_of(self, node: Node) -> Loop:
        """Return what a loop is known by; *node* is its ``While`` or ``LoopCond``, or leaves it."""
        switch = self._switch_of(node) if node.op == "Exit" else None
        is_one = switch is not None and len(switch.inputs) > 1
        return node.body, reference_producer(switch.inputs[1]) if switch is not None and is_one else node.name

    def _switch_of(self, node: Node) -> Node | None:
        return self.graph.bodies[node.body].by_name.get(reference_producer(node.inputs[0])) if node.inputs else None

    def _passed_on(self, site: Site, times: int) -> _Place | None:
        """Return what *site*, a loop or an ``Exit``, would return after so many iterations."""
        node, context, output = site
        body = self.function_of(node, "body")
        if body is not None:
            return self._returned_by(body, output, (*context, Step(node.body, node.name, times - 1)))
        switch = self._switch_of(node)
        if switch is None or not switch.inputs:
            return None
        step = Step(*self.loop_of(node), times)
        return _Place(node.body, switch.inputs[0], (*context, step))

    def is_shared(self, function: str) -> bool:
        """Tell whether several nodes call *function*, so that its arguments depend on the context."""
        return len(self.graph.callers.get(function, ())) > 1

    def function_of(self, node: Node, key: str) -> Body | None:
        """Return the function that the attribute *key* of a loop or a call names."""
        value = node.proto.attr.get(key)
        return self.graph.bodies.get(value.func.name) if value is not None and value.func.name else None

    def _argument(self, owner: Body, index: int, context: Context) -> tuple[_Place | None, Site | None]:
        if context:
            step = context[-1]
            caller = self.graph.bodies[step.body].by_name[step.name]
            if owner.name in caller.calls:
                body = self.function_of(caller, "body") if step.iteration else None
                if body is not None:
                    before = (*context[:-1], step._replace(iteration=step.iteration - 1))
                    return self._returned_by(body, index, before), None
                return _passed(caller, owner, index, context[:-1])
        call = self._only_call(owner)
        return _passed(call, owner, index, context) if call is not None else (None, None)

    def _only_call(self, owner: Body) -> Node | None:
        callers = self.graph.callers.get(owner.name, ())
        return callers[0] if len(callers) == 1 else None

    def _called(self, call: Node, reference: str, context: Context) -> _Place | None:
        """Return what the function that *call* calls returns as *reference*."""
        own = self.graph.bodies.get(call.op)
        function = own or self.function_of(call, "f")
        index = own.result(call, reference) if own is not None else output_index(reference)
        if function is None or index is None:
            return None
        return self._returned(call, function.name, index, context)

    def _returned(self, call: Node, function: str, index: int, context: Context) -> _Place | None:
        inside = (*context, Step(call.body, call.name)) if self.is_shared(function) else context
        return self._returned_by(self.graph.bodies[function], index, inside)

    def _returned_by(self, body: Body, index: int, context: Context) -> _Place | None:
        return _Place(body.name, body.returns[index], context) if index < len(body.returns) else None


def at_iteration(context: Context, loop: Loop, iteration: int) -> Context:
    """Return *context* in another iteration of *loop*."""
    return tuple([step._replace(iteration=iteration) if step[:2] == loop else step for step in context])


def _is_in_frame(node: Node, context: Context) -> bool:
    """Tell whether the innermost step is an iteration of a frame in the body of *node*."""
    return bool(context) and context[-1].body == node.body


def _outside(node: Node, context: Context) -> Context:
    return context[:-1] if _is_in_frame(node, context) else context


def _loop_variable(body: Body, merge: Node) -> tuple[Node | None, Node | None]:
    """Return the ``Enter`` and the ``NextIteration`` that *merge* takes its values from."""
    makers = [body.by_name.get(reference_producer(reference)) for reference in merge.inputs]
    found = {maker.op: maker for maker in makers if maker is not None}
    return found.get("Enter"), found.get("NextIteration")


def _passed(caller: Node, owner: Body, index: int, context: Context) -> tuple[_Place | None, Site | None]:
    first = 0 if caller.op == owner.name else _FIRST_ARGUMENT.get(caller.op)
    if first is None:
        return None, Site(caller, context, -1)
    is_there = first + index < len(caller.inputs)
    return _Place(caller.body, caller.inputs[first + index], context) if is_there else None, None


def _executed(node: Node, reference: str, context: Context) -> Site:
    """Return what makes *reference*; functions name outputs, and count from each name. Constants have no context."""
    if node.op == "Const":
        return Site(node)
    if node.op not in SEVERAL and not node.calls:
        return Site(node, context)
    index, names = output_index(reference), SEVERAL.get(node.op)
    first, _, rest = reference.partition(":")[2].partition(":")
    return Site(node, context, names.index(first) + (index if rest else 0) if names and first in names else index)


def _entered(_: Sites, node: Node, context: Context) -> _Place | None:
    return _Place(node.body, node.inputs[0], _outside(node, context)) if node.inputs else None


def _exited(sites: Sites, node: Node, context: Context) -> _Place | None:
    return sites.after_loop(Site(node, context))


def _switched(_: Sites, node: Node, context: Context) -> _Place | None:
    return _Place(node.body, node.inputs[0], context) if node.inputs else None


def _merged(sites: Sites, node: Node, context: Context) -> _Place | None:
    entered, repeated = _loop_variable(sites.graph.bodies[node.body], node)
    if entered is None or repeated is None or not repeated.inputs:
        return None
    step = context[-1] if _is_in_frame(node, context) else None
    if step is None or not step.iteration:
        return _Place(node.body, entered.name, context)
    return _Place(node.body, repeated.inputs[0], (*context[:-1], step._replace(iteration=step.iteration - 1)))


_FRAME_OPS = {
    "Enter": _entered,
    "Exit": _exited,
    "Merge": _merged,
    "Switch": _switched,
}
"""How tensors pass the ops around the loops and conditions of TensorFlow 1.

Source: tensorflow/core/kernels/control_flow_ops.cc (2.21). A branch is taken to be executed.
"""
