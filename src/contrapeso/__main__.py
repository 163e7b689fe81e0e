"""`python -m contrapeso` is the `contrapeso` command."""

from contrapeso.cli import main

if __name__ == "__main__":
    main()
