"""What variables are called in a log: the same from run to run, whatever the process did before.

Keras numbers the models, layers and nameless variables of one process on. Here each has the number
that it would have if its model had been the first that was built.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any

import keras

from tbgrad.keras import internals
from tbgrad.log.records import distinct

_VARIABLE = "variable"
"""How Keras calls a variable that was given no name, but for a number."""

_WRAPPED = ("forward_", "backward_")
"""What `Bidirectional` puts before the name of its layer."""


def full_name(variable: Any) -> str:
    """The path of a Keras variable, or the name of a `tf.Variable`."""
    return getattr(variable, "path", None) or str(variable.name).removesuffix(":0")


class Names:
    """The names of the variables of a model, or of variables alone: then the best that can be had.

    The model's own name, which is put before those of its layers, is left out. Names that Keras
    made, of a class and a number, are numbered anew; those that a user chose stay. Without a model
    a name is taken for one of Keras' where a class of layers is called so, and what all have before
    their layer for the model.
    """

    def __init__(self, variables: Sequence[Any], model: Any = None) -> None:
        layers = list(internals.layers(model))
        paths = [full_name(v) for v in [*getattr(model, "weights", ()), *variables]]
        parts = [path.split("/") for path in paths]
        if layers:
            self._model = str(getattr(model, "name", ""))
            bases = {snake_case(type(layer).__name__) for layer in layers}
            names = {layer.name for layer in layers}
        else:
            self._model = _shared(parts)
            bases = {snake_case(kind.__name__) for kind in _kinds(keras.layers.Layer)}
            names = {part for path in parts for part in path[:-1]}
        self._layers = _numbered(names, bases)
        self._variables = _numbered({path[-1] for path in parts}, {_VARIABLE})

    def of(self, variables: Sequence[Any]) -> tuple[str, ...]:
        """The names of variables, each one different: repeated ones get a number each."""
        return distinct(self.name(full_name(variable)) for variable in variables)

    def name(self, path: str) -> str:
        """The name of the variable that has this path in Keras."""
        layer, _, own = path.rpartition("/")
        return "/".join(filter(None, (self.layer(layer), self._variables.get(own, own))))

    def layer(self, path: str) -> str:
        """The name of the layer that has this path in Keras."""
        parts = path.split("/")
        if self._model and parts[0] == self._model:
            del parts[0]
        return "/".join(self._layers.get(part, part) for part in parts)


def _numbered(names: Iterable[str], bases: Container[str]) -> dict[str, str]:
    """A new name for each of those that Keras made of one of these."""
    numbers: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        for base, number in _split(name):
            if base in bases or base.removeprefix(_wrapper(base)) in bases:
                numbers.setdefault(base, []).append((number, name))
                break
    return {
        name: f"{base}_{rank}" if rank else base
        for base, found in numbers.items()
        for rank, (_, name) in enumerate(sorted(found))
    }


def _split(name: str) -> Iterator[tuple[str, int]]:
    """The ways in which a name may be one of a class and a number: "dense_3", or "dense" and 3."""
    yield name, 0
    base, _, number = name.rpartition("_")
    if base and number.isascii() and number.isdecimal():
        yield base, int(number)


def _wrapper(name: str) -> str:
    return next((prefix for prefix in _WRAPPED if name.startswith(prefix)), "")


def _shared(paths: Sequence[Sequence[str]]) -> str:
    """What all paths have before a layer and a variable: a model, or "" where there is none."""
    first = {path[0] for path in paths}
    if len(first) != 1 or any(len(path) < 3 for path in paths):
        return ""
    name = first.pop()
    bases = {base for base, _ in _split(name)}
    own = (kind for kind in _kinds(keras.layers.Layer) if snake_case(kind.__name__) in bases)
    return name if all(issubclass(kind, keras.Model) for kind in own) else ""


def _kinds(kind: type) -> Iterator[type]:
    """A class and all that are derived from it."""
    yield kind
    further: list[type] = kind.__subclasses__()
    for derived in further:
        yield from _kinds(derived)


def snake_case(name: str) -> str:
    """The name of a class as Keras writes it in the names of layers: `Conv2D` is "conv2d"."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
