"""`python -m autorule` is the command line."""

from autorule.commands.cli import main

main()
