"""Serving: requests and their answers, and the engine that writes them."""

from minillm._doors import open_door

__getattr__, __dir__, __all__ = open_door(
    __name__,
    {
        "Arrival": "minillm.serving.workload",
        "beam_search": "minillm.serving.beams",
        "BeamSearch": "minillm.serving.beams",
        "bursty": "minillm.serving.workload",
        "CompletionOutput": "minillm.serving.outputs",
        "DraftModelProposer": "minillm.serving.draft_model",
        "DynamicBatcher": "minillm.serving.dynamic_batcher",
        "DynamicBatcherConfig": "minillm.serving.batcher_config",
        "EngineMetrics": "minillm.serving.metrics",
        "goodput": "minillm.serving.request_times",
        "LLM": "minillm.serving.llm",
        "long_prompt_intruder": "minillm.serving.workload",
        "NgramProposer": "minillm.serving.drafts",
        "percentile": "minillm.serving.request_times",
        "poisson": "minillm.serving.workload",
        "QueuePolicy": "minillm.serving.batcher_config",
        "RequestOutput": "minillm.serving.outputs",
        "RequestTimes": "minillm.serving.request_times",
        "SamplingParams": "minillm.serving.sampling_params",
        "shared_prefix": "minillm.serving.workload",
        "Simulator": "minillm.serving.simulate",
        "Slo": "minillm.serving.request_times",
        "summarise": "minillm.serving.request_times",
        "TextChunk": "minillm.serving.outputs",
        "ThreadedBatcher": "minillm.serving.batcher_threads",
        "Workload": "minillm.serving.workload",
    },
)
