"""The text is cut at the last stop string, not at the first."""

FILE = "minillm/serving/writing/text_stream.py"
OLD = "return min((place for place in places if place >= 0), default=None)"
NEW = "return max((place for place in places if place >= 0), default=None)"
CAUGHT_BY = ("of_several_stop_strings_the_first_cuts",)
