"""What a call says to the template does not reach it."""

FILE = "minillm/serving/llm.py"
OLD = "options = dict(tools=tools, add_generation_prompt=add_generation_prompt, **template_options)"
NEW = "options: dict = {}"
CAUGHT_BY = ("chats_are_prompts_by_template",)
