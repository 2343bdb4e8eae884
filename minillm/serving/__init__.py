"""Serving: requests and their answers, and the engine that writes them."""

from minillm._doors import open_door

__getattr__, __dir__, __all__ = open_door(
    __name__,
    {
        "CompletionOutput": "minillm.serving.outputs",
        "DynamicBatcher": "minillm.serving.dynamic_batcher",
        "DynamicBatcherConfig": "minillm.serving.batcher_config",
        "QueuePolicy": "minillm.serving.batcher_config",
        "ThreadedBatcher": "minillm.serving.batcher_threads",
        "EngineMetrics": "minillm.serving.metrics",
        "goodput": "minillm.serving.request_times",
        "LLM": "minillm.serving.llm",
        "percentile": "minillm.serving.request_times",
        "RequestOutput": "minillm.serving.outputs",
        "RequestTimes": "minillm.serving.request_times",
        "SamplingParams": "minillm.serving.sampling_params",
        "Slo": "minillm.serving.request_times",
        "summarise": "minillm.serving.request_times",
        "TextChunk": "minillm.serving.outputs",
        "DraftModelProposer": "minillm.serving.drafts",
        "NgramProposer": "minillm.serving.drafts",
    },
)
