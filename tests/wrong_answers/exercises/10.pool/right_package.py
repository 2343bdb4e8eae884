"""The package's own pool."""

from minillm.cache import BlockPool

answer = BlockPool
