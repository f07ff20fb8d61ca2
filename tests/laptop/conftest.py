"""`vagrant up`, by `make test-vagrant` only: with an emulated processor it takes half an hour."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("MESHBOX_LAPTOP") else ["test_*.py"]
