"""What a run tells while it goes on: a line of JSON for each step, TensorBoard, a bar."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from training.whole import written_whole

LOG = "log.jsonl"


class Journal:
    """The journal of one run; what was told from step `first` on, before it went on, is dropped."""

    def __init__(self, folder: Path, first: int, steps: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / LOG
        kept = [line for line in told(path) if line["step"] < first]
        with written_whole(path) as part:  # else it would be lost where the process is killed here
            part.write_text("".join(json.dumps(line) + "\n" for line in kept))
        self._log = path.open("a")
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=first)
        self._bar = tqdm(total=steps, initial=first, unit="step", dynamic_ncols=True)

    def tell(self, step: int, values: Mapping[str, float]) -> None:
        """Tell of a step that was taken."""
        self._log.write(json.dumps({"step": step, **values}) + "\n")
        self._log.flush()
        for name, value in values.items():
            self._board.add_scalar(name, value, step)
        self._bar.set_postfix(loss=f"{values['loss']:.3f}")
        self._bar.update()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()
        self._board.close()
        self._log.close()


def told(path: Path) -> list[dict[str, float]]:
    """Return a journal's lines; the last one may be torn, where the process was killed."""
    if not path.exists():
        return []
    lines = []
    for line in path.read_text().splitlines():
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return lines
