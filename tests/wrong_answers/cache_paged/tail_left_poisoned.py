"""What is hidden is not made zeros first: 0 times NaN is NaN."""

FILE = "minillm/attention/paged.py"
OLD = "    if piece.blank:"
NEW = "    if False:"
CAUGHT_BY = ("values", "every_family")
