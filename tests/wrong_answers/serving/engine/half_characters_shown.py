"""Each token is decoded by itself."""

FILE = "minillm/serving/writing/text_stream.py"
OLD = 'new = "" if silent else self.decoder.push(token)'
NEW = 'new = "" if silent else self.decoder.bpe.decode([token])'
CAUGHT_BY = ("texts_never_show_half_a_character",)
