"""KV caches: what a decoder keeps of the tokens it has already seen, and who shares it with whom."""

from minillm._doors import open_door

__getattr__, __dir__, __all__ = open_door(
    __name__,
    {
        "ContiguousCache": "minillm.cache.contiguous",
        "RingCache": "minillm.cache.ring",
        "BlockPool": "minillm.cache.block_pool",
        "OutOfBlocks": "minillm.cache.block_pool",
        "PoolSnapshot": "minillm.cache.block_pool",
        "BlockTable": "minillm.cache.block_table",
        "PagedBatch": "minillm.cache.paged_batch",
        "PagedCache": "minillm.cache.paged",
        "QuantizedPagedCache": "minillm.cache.quantized",
        "PrefixCache": "minillm.cache.prefix",
        "RadixCache": "minillm.cache.radix",
    },
)
