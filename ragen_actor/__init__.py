"""RAGEN Actor: OpenAI's Threads and Messages, durable, on plain files."""

from __future__ import annotations

__version__ = "0.1.0"
