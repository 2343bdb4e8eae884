"""The grouped rung goes row by row: the same product, from memory instead of the cache."""

FILE = "kernels/matmul.py"
OLD = "m_tile, n_tile = grouped_tile(tl.program_id(0), tl.cdiv(M, BLOCK_M), tl.cdiv(N, BLOCK_N), GROUP_M)"
NEW = "m_tile, n_tile = row_major_tile(tl.program_id(0), tl.cdiv(N, BLOCK_N))"
CAUGHT_BY = ("order",)
