"""Every new token is kept one slot too early."""

FILE = "minillm/cache/paged_batch.py"
OLD = "            block_ids[position // P] * P + position % P\n"
NEW = "            block_ids[position // P] * P + max(0, position - 1) % P\n"
CAUGHT_BY = ("every_family",)
