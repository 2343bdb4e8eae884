"""Three small decoders that differ only in how many KV heads they share: what MHA, GQA and MQA cost in quality, measured.

Each was trained from scratch on the same text for the same number of steps; only their held-out curves are kept.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from minillm.errors import FileProblem
from minillm.model.checkpoint import BUNDLED

RESULTS = BUNDLED / "siblings" / "results.json"


def sibling_results() -> list[dict[str, Any]]:
    """One row a run: kind ("MHA", "GQA", "MQA"), num_kv_heads, seed, parameters, held_out_bits_per_byte, the curve as
    [{tokens, bits_per_byte}], and the command and versions that made it. Raises FileProblem when the file is missing."""
    try:
        return json.loads(RESULTS.read_text(encoding="utf-8"))["runs"]
    except (OSError, json.JSONDecodeError, KeyError) as error:
        raise FileProblem(
            f"the siblings' curves cannot be read ({error}); reinstall, or train them: see CONTRIBUTING."
        ) from None


def collect(folders: list[Path]) -> list[dict[str, Any]]:
    """Read the `training.json` of finished runs, in order of KV heads (most first) and seed."""
    runs = [json.loads((folder / "training.json").read_text(encoding="utf-8")) for folder in folders]
    rows = [_row(run) for run in runs]
    return sorted(rows, key=lambda row: (-row["num_kv_heads"], row["seed"]))


def _row(run: dict[str, Any]) -> dict[str, Any]:
    heads, shared = run["config"]["num_heads"], run["config"]["num_kv_heads"]
    return {
        "kind": "MHA" if shared == heads else "MQA" if shared == 1 else "GQA",
        "num_heads": heads,
        "num_kv_heads": shared,
        "head_dim": run["config"]["head_dim"],
        "num_layers": run["config"]["num_layers"],
        "seed": run["recipe"]["seed"],
        **{
            k: run[k]
            for k in ("parameters", "held_out_bits_per_byte", "xz_bits_per_byte", "curve", "command", "versions")
        },
        "corpus_sha256": run["corpus"]["sha256"],
    }


def main() -> None:
    """Gather runs into the file that the lesson reads: `python -m minillm.model.siblings runs/sibling-*`."""
    parser = argparse.ArgumentParser(
        prog="python -m minillm.model.siblings", description="Gather finished sibling runs."
    )
    parser.add_argument("folders", nargs="+", type=Path)
    rows = collect(parser.parse_args().folders)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(row) for row in rows)
    RESULTS.write_text(f'{{"runs": [\n{lines}\n]}}\n', encoding="utf-8")
    print(f"{len(rows)} runs in {RESULTS.name}")


if __name__ == "__main__":
    main()
