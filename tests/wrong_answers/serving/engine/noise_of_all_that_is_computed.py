"""Noise counts the positions of the whole text, so a preempted or shared prompt changes it."""

FILE = "minillm/serving/writing/answer.py"
OLD = "position = request.num_output_tokens + len(draft_ids)"
NEW = "position = request.num_computed_tokens + len(draft_ids)"
CAUGHT_BY = (
    "random_days",
    "the_same_alone_and_in_company",
    "preempted_texts_go_on",
)
