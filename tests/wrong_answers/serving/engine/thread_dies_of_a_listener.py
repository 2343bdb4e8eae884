"""What a listener raises ends the thread, and everybody waits for ever."""

FILE = "minillm/serving/asking/engine_driver.py"
OLD = "            except Exception as error:  # a listener's"
NEW = "            except KeyError as error:  #"
CAUGHT_BY = ("a_listener_that_raises_hangs_nobody",)
