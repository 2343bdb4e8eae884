"""Only those leave who are due themselves."""

LAYER = "values"


def answer(waited, most, preferred, delay):
    due = sum(age >= delay for age in waited[:most])
    return due or max([size for size in preferred if size <= min(len(waited), most)], default=0)
