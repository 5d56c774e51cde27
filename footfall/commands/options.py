"""The options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Home = Annotated[
    Path | None,
    typer.Option("--home", help="The home folder (else FOOTFALL_HOME, else .footfall here).", show_default=False),
]
