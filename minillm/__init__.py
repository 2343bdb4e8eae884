"""minillm: how LLM inference works, from four lines of attention to the GPU kernel.

This module is the face: the names a reader imports, and nothing else. Each is fetched from its room on first use.
"""

from minillm._doors import open_door

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = open_door(
    __name__,
    {
        "attention": "minillm.attention:",
        "backends": "minillm.attention",
        "cache": "minillm.cache:",
        "count": "minillm.measure",
        "kernels": "minillm.kernels:",
        "lab": "minillm.lab:",
        "AsyncLLM": "minillm.serving",
        "LLM": "minillm.serving",
        "SamplingParams": "minillm.serving",
        "RequestOutput": "minillm.serving",
        "load_model": "minillm.model",
        "load_tokenizer": "minillm.model",
    },
)
