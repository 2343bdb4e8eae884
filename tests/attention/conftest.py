"""Makes `attention_battery` importable here by name: tests run with nothing put on sys.path."""

import importlib.util
import sys
from pathlib import Path

spec = importlib.util.spec_from_file_location("attention_battery", Path(__file__).with_name("attention_battery.py"))
sys.modules["attention_battery"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["attention_battery"])
