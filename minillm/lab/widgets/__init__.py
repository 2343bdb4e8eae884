"""Widgets, each answering one question, from "what comes next?" and "does it fit?" to "what did my kernel become?"."""

from minillm._doors import open_door

__getattr__, __dir__, __all__ = open_door(
    __name__,
    {
        "attention_map": "minillm.lab.widgets.attention_maps",
        "batching_explorer": "minillm.lab.widgets.batch_waiting",
        "chunk_explorer": "minillm.lab.widgets.chunk_sizes",
        "compare_kernels": "minillm.lab.widgets.kernel_lab",
        "compare_schedules": "minillm.lab.widgets.schedule_compare",
        "decode_bytes": "minillm.lab.widgets.fetched_bytes",
        "decoding_explorer": "minillm.lab.widgets.decoding_paths",
        "head_groups": "minillm.lab.widgets.head_grouping",
        "ir_explorer": "minillm.lab.widgets.ir_compare",
        "kv_calculator": "minillm.lab.widgets.kv_memory",
        "next_token": "minillm.lab.widgets.next_tokens",
        "next_token_cost": "minillm.lab.widgets.token_cost",
        "online_softmax": "minillm.lab.widgets.softmax_steps",
        "pool_explorer": "minillm.lab.widgets.pool_steps",
        "prefix_explorer": "minillm.lab.widgets.prefix_sharing",
        "program_ids": "minillm.lab.widgets.program_map",
        "speculation_explorer": "minillm.lab.widgets.speculation",
        "split_explorer": "minillm.lab.widgets.split_timeline",
        "tile_explorer": "minillm.lab.widgets.tile_map",
    },
)
