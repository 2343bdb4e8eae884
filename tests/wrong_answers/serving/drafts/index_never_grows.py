"""Only the prompt is looked up."""

FILE = "minillm/serving/speculation/drafts.py"
OLD = "index.extend(request.token_ids[len(index.token_ids) :])"
NEW = "index.extend(request.prompt_token_ids[len(index.token_ids) :])"
CAUGHT_BY = ("look_up_follows_every_text",)
