"""One user's text is found with another's."""

FILE = "minillm/cache/prefix.py"
OLD = 'sha256(b"" if salt is None else'
NEW = 'sha256(b"" if True else'
CAUGHT_BY = ("a_salt_sets_texts_apart", "random_lives_with_a_hash_chain")
