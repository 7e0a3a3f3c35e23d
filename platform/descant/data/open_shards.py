"""The shards that a process holds open, over all its readers."""

from __future__ import annotations

from collections import OrderedDict

from descant.data.folder import Folder, OpenShard
from descant.data.index import ShardIndex


class OpenShards:
    """Open shards by their reader's token and their number in its split; the one opened first goes first."""

    def __init__(self) -> None:
        self._shards: OrderedDict[tuple[object, int], OpenShard] = OrderedDict()

    def get(self, reader: object, number: int) -> OpenShard | None:
        """Return a shard if it is open."""
        return self._shards.get((reader, number))

    def open(self, reader: object, number: int, folder: Folder, index: ShardIndex) -> OpenShard:
        """Open a shard, and close others where there are too many, or where its bytes need the room of theirs."""
        while len(self._shards) >= folder.max_open:
            self.let_go()
        shard = self._shards[reader, number] = folder.open_shard(index, self.let_go)
        return shard

    def let_go(self) -> bool:
        """Close the shard that was opened first; return whether there was one."""
        if not self._shards:
            return False
        self._shards.popitem(last=False)[1].close()
        return True

    def close(self, reader: object) -> None:
        """Close all shards of a reader."""
        for key in [key for key in self._shards if key[0] is reader]:
            self._shards.pop(key).close()


LOCAL, REMOTE = OpenShards(), OpenShards()
"""Those of this process; a forked one closes its copies without letting go of what its parent holds."""
