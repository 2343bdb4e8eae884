"""Serving: requests and their answers, and the engine that writes them."""

from minillm._doors import open_door

__getattr__, __dir__, __all__ = open_door(
    __name__,
    {
        "CompletionOutput": "minillm.serving.outputs",
        "LLM": "minillm.serving.engine",
        "RequestOutput": "minillm.serving.outputs",
        "SamplingParams": "minillm.serving.sampling_params",
        "TextChunk": "minillm.serving.outputs",
    },
)
