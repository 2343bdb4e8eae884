"""Serving: requests and their answers, and the engine that writes them.

Begin with `engine`. It asks the `scheduler` whose tokens to compute, has a worker of `compute` run them through the `runner`,
and `writing` makes text of what was chosen. `llm` and `async_engine` are its faces; `simulate` is its day without a model.
"""

from minillm._doors import open_door

__getattr__, __dir__, __all__ = open_door(
    __name__,
    {
        "AsyncLLM": "minillm.serving.async_engine",
        "EngineClosed": "minillm.serving.asking.engine_driver",
        "LLMEngine": "minillm.serving.engine",
        "StepTrace": "minillm.serving.watching.trace",
        "Arrival": "minillm.serving.workload",
        "beam_search": "minillm.serving.beams",
        "BeamSearch": "minillm.serving.beams",
        "bursty": "minillm.serving.workload",
        "CompletionOutput": "minillm.serving.outputs",
        "DraftModelProposer": "minillm.serving.speculation.draft_model",
        "DynamicBatcher": "minillm.serving.dynamic_batcher",
        "DynamicBatcherConfig": "minillm.serving.batching.config",
        "EngineMetrics": "minillm.serving.metrics",
        "goodput": "minillm.serving.watching.summary",
        "LLM": "minillm.serving.llm",
        "long_prompt_intruder": "minillm.serving.workload",
        "NgramProposer": "minillm.serving.speculation.drafts",
        "percentile": "minillm.serving.watching.summary",
        "poisson": "minillm.serving.workload",
        "QueueFull": "minillm.serving.outputs",
        "QueuePolicy": "minillm.serving.batching.config",
        "Request": "minillm.serving.request",
        "RequestOutput": "minillm.serving.outputs",
        "RequestTimes": "minillm.serving.watching.request_times",
        "SamplingParams": "minillm.serving.sampling_params",
        "Scheduler": "minillm.serving.scheduler",
        "SchedulerConfig": "minillm.serving.schedule.config",
        "SchedulerOutput": "minillm.serving.schedule.output",
        "Share": "minillm.serving.schedule.output",
        "shared_prefix": "minillm.serving.workload",
        "Simulator": "minillm.serving.simulate",
        "Slo": "minillm.serving.watching.summary",
        "summarise": "minillm.serving.watching.summary",
        "TextChunk": "minillm.serving.outputs",
        "ThreadedBatcher": "minillm.serving.batching.threads",
        "Workload": "minillm.serving.workload",
    },
)
