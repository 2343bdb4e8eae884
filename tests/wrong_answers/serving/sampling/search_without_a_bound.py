"""The search keeps a floor above which less than p lies."""

FILE = "minillm/decoding/support.py"
OLD = "torch.where(enough, middle, low), torch.where(enough, high, middle)"
NEW = "torch.where(enough, low, middle), torch.where(enough, middle, high)"
CAUGHT_BY = ("a_large_vocabulary_is_cut_where_the_definition_cuts",)
