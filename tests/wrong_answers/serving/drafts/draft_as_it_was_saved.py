"""The bundled draft is of its own kind, whatever the model's is."""

FILE = "minillm/serving/speculation/drafts.py"
OLD = "dtype=model.dtype, device=model.device"
NEW = ""
CAUGHT_BY = ("the_bundled_draft_is_of_the_models_kind",)
