"""`python -m meshbox.cli`."""

import sys

from meshbox.cli.main import main

sys.exit(main())
