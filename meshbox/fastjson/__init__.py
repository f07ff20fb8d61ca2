"""JSON, fast: orjson where the distribution has it, and where it has not the same from Python's own json.

Ubuntu 24.04 has no python3-orjson, and the package depends on nothing that the distribution lacks. Writing a
node takes 15 us there in place of 1, once for all who see it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orjson import Fragment, JSONDecodeError, JSONEncodeError, dumps, loads
else:
    try:
        from orjson import Fragment, JSONDecodeError, JSONEncodeError, dumps, loads
    except ModuleNotFoundError:
        from meshbox.fastjson.plain import Fragment, JSONDecodeError, JSONEncodeError, dumps, loads

__all__ = ["Fragment", "JSONDecodeError", "JSONEncodeError", "dumps", "loads"]
