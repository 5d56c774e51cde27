"""What can go wrong in the orchestration. The class docstring is the message, data travel as attributes."""

from collections.abc import Sequence
from pathlib import Path


class PipelineError(Exception):
    """Something went wrong in the pipelines."""

    def __str__(self) -> str:
        return (type(self).__doc__ or "").format(**vars(self))


class SettingsMissing(PipelineError):
    """missing in the environment: {names} (set it, or start with `footfall up`)"""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = ", ".join(names)


class SettingsInvalid(PipelineError):
    """not usable in the environment: {names} (see the settings in the docs)"""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = ", ".join(names)


class ModelsUnreadable(PipelineError):
    """dbt cannot read the models in {folder}: {reason}"""

    def __init__(self, folder: Path, reason: str) -> None:
        self.folder, self.reason = folder, reason


class BuildFailed(PipelineError):
    """dbt could not build the models: {reason}"""

    def __init__(self, reason: str) -> None:
        self.reason = reason


class GrainUnsaid(PipelineError):
    """{table} does not say what a row of it is (write "One row per …" into its description, then run `make docs`)"""

    def __init__(self, table: str) -> None:
        self.table = table


class RefreshFailed(PipelineError):
    """the refresh failed at {step}: {reason}; the published file is as it was"""

    def __init__(self, step: str, reason: str, run_id: str) -> None:
        self.step, self.reason, self.run_id = step, reason, run_id
