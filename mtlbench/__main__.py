"""`python -m mtlbench` is the console script `mtlbench`."""

from mtlbench.cli.entry import main

if __name__ == "__main__":
    main()
