"""An error in the model ends the thread, and its futures never end."""

FILE = "minillm/serving/batching/threads.py"
OLD = "except BaseException as raised:"
NEW = "except LookupError as raised:"
CAUGHT_BY = ["what_the_model_raises_reaches_its_futures"]
