"""`python -m vlkit` is the command line."""

from vlkit.cli import app

if __name__ == "__main__":
    app(prog_name="vlkit")
