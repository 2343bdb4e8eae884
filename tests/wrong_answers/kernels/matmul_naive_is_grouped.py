"""The naive rung takes the grouped order: the same product, and nothing left to compare."""

FILE = "kernels/matmul.py"
OLD = "m_tile, n_tile = row_major_tile(tl.program_id(0), tl.cdiv(N, BLOCK_N))"
NEW = "m_tile, n_tile = grouped_tile(tl.program_id(0), tl.cdiv(M, BLOCK_M), tl.cdiv(N, BLOCK_N), 8)"
CAUGHT_BY = ("order",)
