"""`python -m codecframe.cli`: the command line."""

from codecframe.cli.main import main

if __name__ == "__main__":
    main()
