"""The standard library finds the place."""

from bisect import bisect_right


class Steps:
    def __init__(self, seconds, first, most):
        self.seconds, self.first, self.most = seconds, first, most

    def __len__(self):
        return self.most - self.first

    def __getitem__(self, i):
        return self.seconds(self.first + 1 + i)


def answer(seconds, writing, most, promised):
    first = min(writing + 1, most)
    return first + bisect_right(Steps(seconds, first, most), promised) if writing else most
