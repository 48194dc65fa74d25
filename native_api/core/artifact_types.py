"""Kinds and media types of files, by their names."""

from __future__ import annotations

import mimetypes

KINDS = {
    "model": "bst cbm ckpt gguf h5 joblib keras mlmodel model onnx pb pickle pkl pt pth safetensors skops tflite ubj",
    "plot": "bmp gif jpeg jpg png svg tif tiff webp",
    "report": "htm html ipynb md pdf rst",
    "log": "err log out txt",
}
KIND_BY_ENDING = {ending: kind for kind, endings in KINDS.items() for ending in endings.split()}


def kind_of(path: str) -> str:
    """The artifact_type of a file: model, plot, report, log or other."""
    return KIND_BY_ENDING.get(_ending(path).lower(), "other")


TEXT_ENDINGS = {  # those of MLflow's utils/mime_type_utils.py
    *("txt", "log", "err", "cfg", "conf", "cnf", "cf", "ini", "properties", "prop", "hocon", "toml", "yaml", "yml"),
    *("xml", "json", "js", "py", "py3", "csv", "tsv", "md", "rst", "ipynb", "MLmodel", "MLproject", "mlproject"),
}
_types = mimetypes.MimeTypes()  # Python's own table: what the machine adds to it would differ from one to the next


def content_type(path: str) -> str:
    """The media type a file is sent as: text of any kind as text/plain, what is not known as octet-stream."""
    if _ending(path) in TEXT_ENDINGS:
        return "text/plain"
    return _types.guess_type(path.rpartition("/")[2], strict=False)[0] or "application/octet-stream"


def _ending(path: str) -> str:
    """What follows the last dot of the name, or the whole name: MLmodel has none."""
    return path.rpartition("/")[2].rpartition(".")[2]
