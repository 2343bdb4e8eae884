"""Groups are laid along columns instead of rows."""

FILE = "kernels/matmul.py"
OLD = "m_tile, n_tile = grouped_tile(tl.program_id(0), tl.cdiv(M, BLOCK_M), tl.cdiv(N, BLOCK_N), GROUP_M)"
NEW = "n_tile, m_tile = grouped_tile(tl.program_id(0), tl.cdiv(N, BLOCK_N), tl.cdiv(M, BLOCK_M), GROUP_M)"
CAUGHT_BY = ("order",)
