"""Computations made of steps: begun, stepped, and finished with the reason why they ended."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, Literal, TypeVar

from tbgrad.hessian.errors import Interrupted

Reason = Literal["converged", "budget", "noise floor", "not symmetric", "interrupted"]
"""Why a computation ended.

- "converged": what was asked for is known to the tolerance.
- "budget": the products or steps that were allowed are spent.
- "noise floor": what is left is rounding of the products, so that more of them would not help.
- "not symmetric": the same, but what stands in the way is that ⟨u, A v⟩ and ⟨v, A u⟩ differ by far
  more than rounding.
- "interrupted": by Ctrl-C.
"""

Result_co = TypeVar("Result_co", covariant=True)


class Iteration(ABC, Generic[Result_co]):
    """The state of a computation, begun when it is made. A step takes one product or none."""

    @property
    @abstractmethod
    def started(self) -> bool:
        """Whether there is something that could be returned."""

    @abstractmethod
    def step(self) -> Reason | None:
        """Do one step more, and tell why it was the last; None where it was not.

        Raises:
            Interrupted: during the product; what `finish` would return is as before the step.
        """

    @abstractmethod
    def finish(self, reason: Reason) -> Result_co:
        """The result of the steps so far, which may make the reason more precise."""


def run(iteration: Iteration[Result_co]) -> Result_co:
    """Step until there is a reason to end.

    Raises:
        Interrupted: Ctrl-C came before there was anything to return.
    """
    reason: Reason | None = None
    while reason is None:
        try:
            reason = iteration.step()
        except Interrupted:  # noqa: PERF203 - beside a product this costs nothing
            if not iteration.started:
                raise
            reason = "interrupted"
    return iteration.finish(reason)
