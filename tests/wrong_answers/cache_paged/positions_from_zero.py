"""New tokens count their positions from the beginning of the pass."""

FILE = "minillm/cache/paged_batch.py"
OLD = "np.repeat(np.array(self.lengths) - ends, counts)"
NEW = "np.repeat(np.array(counts) - ends, counts)"
CAUGHT_BY = ("every_family", "forks_part")
