"""What a tokenizer raises comes through."""

FILE = "minillm/serving/writing/step.py"
OLD = "        except Exception as error:  # a tokenizer's, say"
NEW = "        except KeyError as error:"
CAUGHT_BY = ("a_tokenizer_that_raises_costs_one_text",)
