"""`python -m autorule` is the command line."""

from autorule.cli import main

main()
