"""The package's own rule."""

from minillm.serving.batching.send_rule import how_many_to_send


def answer(waited, most, preferred, delay):
    front = [1] * min(len(waited), most)
    due = bool(waited) and waited[0] >= delay
    return how_many_to_send(front, preferred, blocked=len(waited) > most, may_wait=True, overdue=due)
