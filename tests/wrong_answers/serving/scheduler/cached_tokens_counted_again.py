"""Its own blocks, found when it comes back, count as if another had computed them."""

FILE = "minillm/serving/schedule/step.py"
OLD = """\
        if not request.num_preemptions:
            request.num_cached"""
NEW = """\
        if True:
            request.num_cached"""
CAUGHT_BY = ("who_comes_back_finds_what_it_wrote",)
