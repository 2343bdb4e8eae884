"""After an error one share is run again, and the others are lost."""

FILE = "minillm/serving/compute/worker.py"
OLD = "        for share in shares:\n            try:"
NEW = "        for share in shares[:1]:\n            try:"
CAUGHT_BY = ("one_failing_text_ends_alone",)
