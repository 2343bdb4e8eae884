"""After a preemption the blocks that are computed again are thought to be known already."""

FILE = "minillm/serving/schedule/text_memory.py"
OLD = """\
            self._texts[request.request_id].num_kept = 0
"""
NEW = """\
            pass
"""
CAUGHT_BY = (
    "who_comes_back_finds_what_it_wrote",
    "random_days",
)
