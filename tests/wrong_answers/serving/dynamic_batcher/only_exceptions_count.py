"""A model that exits takes its thread with it."""

FILE = "minillm/serving/batching/threads.py"
OLD = "except BaseException as raised:"
NEW = "except Exception as raised:"
CAUGHT_BY = ["what_the_model_raises_reaches_its_futures"]
