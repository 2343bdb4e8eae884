"""KV caches: what a decoder keeps of the tokens it has already seen."""

from minillm._doors import open_door

__getattr__, __dir__, __all__ = open_door(__name__, {"ContiguousCache": "minillm.cache.contiguous"})
