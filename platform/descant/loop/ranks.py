"""The ranks of a run: which one this process is, and what ranks tell each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Ranks:
    """This process among the processes of a run; one process alone is rank 0 of 1."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the rank that writes the run folder."""
        return self.rank == 0

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Sum ``values`` over all ranks in place (nothing to do for one rank) and return them."""
        if self.world_size > 1:
            import torch.distributed as dist

            dist.all_reduce(values)
        return values

    def sum_with_gradient(self, values: torch.Tensor) -> torch.Tensor:
        """Return the sum of ``values`` over all ranks; on the way back gradients are summed over them too."""
        if self.world_size == 1:
            return values
        import torch.distributed as dist
        from torch.distributed.nn import functional

        # The default group is bound when torch is imported, which may be before this process joined one.
        summed: torch.Tensor = functional.all_reduce(values, group=dist.group.WORLD)  # type: ignore[no-untyped-call]
        return summed

    def rows_of_all(self, rows: torch.Tensor) -> torch.Tensor:
        """Return every rank's rows, by rank; the gradient of each rank's loss flows back to the rank that they are of.

        All ranks have equally many.
        """
        if self.world_size == 1:
            return rows
        placed = rows.new_zeros(self.world_size, *rows.shape)
        placed[self.rank] = rows
        return self.sum_with_gradient(placed).flatten(0, 1)

    def gather(self, value: object) -> list[object]:
        """Return every rank's picklable ``value``, by rank; for rare, small things: it blocks."""
        if self.world_size == 1:
            return [value]
        import torch.distributed as dist

        gathered: list[object] = [None] * self.world_size
        dist.all_gather_object(gathered, value)
        return gathered

    def barrier(self) -> None:
        """Wait until every rank is here."""
        self.gather(None)
