"""An own timeout counts where it is not allowed."""

FILE = "minillm/serving/batching/config.py"
OLD = "        if not self.allow_timeout_override:"
NEW = "        if False:"
CAUGHT_BY = ["an_own_timeout_only_shortens", "wrong_calls_are_refused_at_once"]
