"""A quote in a label ends it."""

FILE = "minillm/serving/watching/instruments.py"
OLD = '="{_escaped(of)}"'
NEW = '="{of}"'
CAUGHT_BY = ("labels_are_written_as_prometheus_reads_them",)
