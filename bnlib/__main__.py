"""`python -m bnlib`."""

from bnlib.cli import main

main(prog_name="bnlib")
