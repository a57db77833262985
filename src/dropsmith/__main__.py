"""`python -m dropsmith` is the command `dropsmith`."""

from dropsmith.cli import main

if __name__ == "__main__":
    main()
