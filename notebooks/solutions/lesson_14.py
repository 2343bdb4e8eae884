"""Right answers to lesson 14, by the id of their check. Each can stand in for the lesson's stub."""

from itertools import pairwise


def felt(arrival, token_times):
    gaps = [b - a for a, b in pairwise(token_times)]
    first = token_times[0] - arrival
    return (first, sum(gaps) / len(gaps), max(gaps)) if gaps else (first, None, None)


def cut(writing, prompts, budget):
    left, pieces = max(0, budget - writing), []
    for prompt in prompts:
        pieces.append(min(prompt, left))
        left -= pieces[-1]
    return pieces


def budget(seconds, writing, most, promised):
    if writing == 0:
        return most
    low, high = min(writing + 1, most), most
    while low < high:
        middle = (low + high + 1) // 2
        if seconds(middle) <= promised:
            low = middle
        else:
            high = middle - 1
    return low


class Mended:
    def __init__(self, budget, page):
        self.budget, self.texts = budget, []

    def add(self, name, prompt, answer):
        self.texts.append({"name": name, "known": prompt, "computed": 0, "end": prompt + answer})

    def step(self):
        left, plan = self.budget, []
        for text in sorted(self.texts, key=self.is_reading):  # sorted keeps the order of arrival
            count = min(text["known"] - text["computed"], left)
            if count:
                samples = text["computed"] + count == text["known"]
                plan.append((text["name"], text["computed"], count, samples))
                text["computed"] += count
                text["known"] += samples
                left -= count
        self.texts = [text for text in self.texts if text["known"] < text["end"]]
        return plan

    @staticmethod
    def is_reading(text):
        return text["computed"] == 0 or text["known"] - text["computed"] > 1


SOLUTIONS = {"14.times": felt, "14.cut": cut, "14.target": budget, "14.clinic": Mended}
