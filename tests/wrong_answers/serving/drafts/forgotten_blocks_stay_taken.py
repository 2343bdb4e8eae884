"""A text that has ended keeps its blocks."""

FILE = "minillm/serving/speculation/draft_model.py"
OLD = "        if reader is not None:\n            reader.table.free()\n\n    def _room"
NEW = "        if reader is not None:\n            pass\n\n    def _room"
CAUGHT_BY = (
    "proposals_are_the_models_own_whatever_is_kept",
    "without_blocks_nothing_is_proposed_and_nothing_breaks",
    "a_name_used_again_is_another_text",
)
