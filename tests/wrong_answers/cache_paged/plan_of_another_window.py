"""The first layer's layout serves every layer, whatever its window."""

FILE = "minillm/attention/paged_plan.py"
OLD = "        return self._layouts[window]\n"
NEW = "        return next(iter(self._layouts.values()))\n"
CAUGHT_BY = ("every_family",)
