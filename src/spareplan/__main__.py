"""``python -m spareplan`` is the command line."""

from spareplan.cli import main

main()
