"""The folder of a campaign: what it judges, and a file for each record, whole or not there at all."""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

from refconv import files
from refconv.campaign import Plain, Plan, name_of
from refconv.subject import TargetError

__all__ = ["Ledger"]

ABOUT, SCHEMA = "campaign.json", 1


class Ledger:
    """What a campaign has found, on disk. A folder belongs to one plan: TargetError where it has another."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not (folder / ABOUT).exists():
                self._begin(plan)
            before = self._plan()
        except OSError as error:
            raise TargetError(f"--folder is {str(folder)!r}, but cannot be used: {error}") from None
        if different := plan.differences(before):
            raise TargetError(
                f"--folder is {str(folder)!r}, which holds another campaign: there {'; '.join(different)}. "
                "Name another folder, or delete this one"
            )

    def _begin(self, plan: Plan) -> None:
        if any(self.folder.iterdir()):
            raise TargetError(f"--folder is {str(self.folder)!r}, but must be empty or hold a campaign")
        said = {"schema": SCHEMA, **asdict(replace(plan, known=""))}
        files.write(self.folder / ABOUT, json.dumps(said, indent=1) + "\n")

    def _plan(self) -> Plan:
        try:
            said = json.loads((self.folder / ABOUT).read_text(encoding="utf-8"))
            if said.pop("schema") != SCHEMA:
                raise ValueError(f"its schema is not {SCHEMA}")
            return Plan(**said)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise TargetError(f"--folder is {str(self.folder)!r}, but its {ABOUT} cannot be read: {error}") from None

    def records(self) -> Iterator[Plain]:
        """Every record there is."""
        for path in sorted(self.folder.glob("records/**/*.json")):
            try:
                yield json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise TargetError(f"{str(path)!r} is no record: {error}; delete it, it will be made again") from None

    def write(self, record: Plain) -> None:
        """Keep a record, and the files that are with it in a folder of their own."""
        name = name_of(record)
        if kept := record.get("files"):
            self._unpack(self.place(name), kept)
            record = {**record, "files": sorted(kept)}
        path = self.folder / "records" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, json.dumps(record, allow_nan=False) + "\n")

    def place(self, name: str) -> Path:
        """Where the violation that a record brings down can be replayed."""
        return self.folder / "violations" / Path(name).name

    @staticmethod
    def _unpack(place: Path, kept: dict[str, str]) -> None:
        place.parent.mkdir(exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=place.parent, prefix=".new-"))
        for name, text in kept.items():
            (made / Path(name).name).write_bytes(base64.b64decode(text))
        made.chmod(0o755)
        if place.exists():
            shutil.rmtree(place)
        made.rename(place)
