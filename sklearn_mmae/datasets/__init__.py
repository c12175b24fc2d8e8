"""Tables of files, texts and numbers, from folders, from arrays, and one to try things on."""

from ._captions import load_captioned_folder
from ._digits import load_digits_frame
from ._folders import (
    load_audio_folder,
    load_image_folder,
    load_paired_folders,
    load_text_folder,
    load_video_folder,
)
from ._frames import as_frame

__all__ = [
    "as_frame",
    "load_audio_folder",
    "load_captioned_folder",
    "load_digits_frame",
    "load_image_folder",
    "load_paired_folders",
    "load_text_folder",
    "load_video_folder",
]
