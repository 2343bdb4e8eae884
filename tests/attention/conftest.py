"""Makes the shared modules of this folder importable by name: tests run with nothing put on sys.path."""

import importlib.util
import sys
from pathlib import Path

for name in ("attention_cases", "attention_battery"):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
