"""All batches run on one thread."""

FILE = "minillm/serving/batching/threads.py"
OLD = "for number in range(config.num_batch_threads):"
NEW = "for number in range(1):"
CAUGHT_BY = ["the_model_runs_on_as_many_threads_as_were_asked"]
