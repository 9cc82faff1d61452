"""RapidOCR, for machines where only pip can install: `docpipe[ocr]`. Slower and larger than tesseract.

Its models are in its wheel; their paths are given here, since it would download others. Its
settings keep it below 1 GB: no classifier, small pictures for detection, one line at a time, one thread.
"""

import importlib
import importlib.util
import logging
import os
from pathlib import Path
from typing import Any, Final

from PIL import Image

from docpipe.convert.core.blocks import clean
from docpipe.convert.ocr.reading import Line, OcrError, Reading, Word

_MODELS: Final = (
    ("Det", "PP-OCRv6_det_small.onnx"),
    ("Rec", "PP-OCRv6_rec_small.onnx"),
    ("Cls", "ch_ppocr_mobile_v2.0_cls_mobile.onnx"),
)
_SETTINGS: Final = {
    "Global.use_cls": False,
    "Global.max_side_len": 2600,
    "Global.log_level": "critical",
    "Det.limit_type": "max",
    "Det.limit_side_len": 1280,
    "Rec.rec_batch_num": 1,
    "EngineConfig.onnxruntime.intra_op_num_threads": 1,
    "EngineConfig.onnxruntime.inter_op_num_threads": 1,
}
_LEAST_SCORE: Final = 0.5
_UPRIGHT: Final = 0.9
"""Pages that are upside down have a lower score than this."""


def installed() -> bool:
    """Whether both parts are there; they are heavy, and so are not imported to find out."""
    return all(importlib.util.find_spec(name) is not None for name in ("rapidocr", "onnxruntime"))


class Rapid:
    """RapidOCR with the models of its wheel.

    Raises: OcrError when it cannot be loaded.
    """

    is_program = False
    libraries: tuple[str, ...] = ("rapidocr", "onnxruntime")
    missing: tuple[str, ...] = ()

    def __init__(self) -> None:
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # else its import resolves its maker's host
        logging.getLogger("RapidOCR").setLevel(logging.CRITICAL + 1)
        try:
            package = importlib.import_module("rapidocr")
            models = Path(str(package.__file__)).parent / "models"
            paths = {f"{part}.model_path": str(models / name) for part, name in _MODELS}
            if not all(Path(path).is_file() for path in paths.values()):
                raise OcrError("this release of rapidocr brings other models")  # noqa: TRY301 - one way out
            self._engine: Any = package.RapidOCR(params={**_SETTINGS, **paths})
            self._array: Any = importlib.import_module("numpy").asarray
        except OcrError:
            raise
        except Exception as error:
            raise OcrError("rapidocr cannot be loaded") from error

    def read(self, picture: Image.Image, seconds: float) -> Reading:
        """As of Engine; it cannot be stopped, and so never raises TimeoutError."""
        del seconds
        try:
            result = self._engine(self._array(picture.convert("RGB"))[:, :, ::-1])
        except MemoryError:
            raise
        except Exception as error:
            raise OcrError("rapidocr failed") from error
        if result is None or result.boxes is None or result.txts is None:
            return Reading()
        lines = [
            (_box(corners), line)
            for corners, text, score in zip(result.boxes, result.txts, result.scores, strict=True)
            if score >= _LEAST_SCORE and (line := _words(text, _box(corners), float(score)))
        ]
        return Reading(tuple(_paragraphs(lines)))

    def read_rows(self, picture: Image.Image, seconds: float) -> None:
        """As of Engine: its lines are put together by their heights."""

    def turn(self, picture: Image.Image, reading: Reading, seconds: float) -> int:
        """As of Engine: it reads lines that run up or down, but no letters that are upside down."""
        if not reading.sideways():
            return 180 if reading.score() < _UPRIGHT else 0
        sideways = self.read(picture.transpose(Image.Transpose.ROTATE_270), seconds)
        return 90 if sideways.score() >= _UPRIGHT else 270


_Box = tuple[float, float, float, float]


def _box(corners: Any) -> _Box:
    across = [float(corner[0]) for corner in corners]
    down = [float(corner[1]) for corner in corners]
    return min(across), min(down), max(across), max(down)


def _words(text: str, box: _Box, score: float) -> Line:
    """The words of a line, each with its share of the line's width."""
    text = " ".join(clean(text).split())
    left, top, right, bottom = box
    step = (right - left) / max(1, len(text))
    words, at = [], 0
    for word in text.split(" "):
        if word:
            start = left + at * step
            words.append(Word(word, start, top, start + len(word) * step, bottom, score))
        at += len(word) + 1
    return tuple(words)


def _paragraphs(lines: list[tuple[_Box, Line]]) -> list[tuple[Line, ...]]:
    """Words of the same height are one line (cells of a table); a gap ends a paragraph."""
    rows: list[list[tuple[_Box, Line]]] = []
    for box, line in sorted(lines, key=lambda item: (item[0][1] + item[0][3]) / 2):
        middle = (box[1] + box[3]) / 2
        if rows and rows[-1][0][0][1] < middle < rows[-1][0][0][3]:
            rows[-1].append((box, line))
        else:
            rows.append([(box, line)])
    paragraphs: list[list[Line]] = []
    below = None
    for row in rows:
        row.sort(key=lambda item: item[0][0])
        top = min(box[1] for box, _ in row)
        height = row[0][0][3] - row[0][0][1]
        if below is None or top - below > height:
            paragraphs.append([])
        paragraphs[-1].append(tuple(word for _, line in row for word in line))
        below = max(box[3] for box, _ in row)
    return [tuple(paragraph) for paragraph in paragraphs]
