"""What the model raises comes through."""

FILE = "minillm/serving/compute/worker.py"
OLD = "        except Exception:\n            self.num_failed_passes += 1"
NEW = "        except ZeroDivisionError:\n            self.num_failed_passes += 1"
CAUGHT_BY = ("one_failing_text_ends_alone", "errors_reach_the_one_who_asked")
