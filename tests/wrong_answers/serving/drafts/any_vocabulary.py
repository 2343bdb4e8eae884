"""A draft with another vocabulary is taken."""

FILE = "minillm/serving/speculation/drafts.py"
OLD = "    if proposer.vocab_size not in (None, model.config.vocab_size):"
NEW = "    if False:"
CAUGHT_BY = ("engines_get_what_they_name",)
