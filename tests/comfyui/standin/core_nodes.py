"""Those of ComfyUI's own nodes that the example workflows hold: inputs, outputs and what they do, as their sources say it.

Their names and widgets are facts of ComfyUI 0.33 to 0.35, as its package of workflow templates has them. What they do is
written anew.
"""

from pathlib import Path

import av
import folder_paths
import numpy as np
import torch
from PIL import Image

from motionlift.video.clip import Clip


def _files(*suffixes: str) -> list[str]:
    folder = Path(folder_paths.get_input_directory())
    return sorted(file.name for file in folder.iterdir() if file.suffix in suffixes)


class LoadImage:
    RETURN_TYPES, FUNCTION = ("IMAGE", "MASK"), "run"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"image": (_files(".png"), {"image_upload": True})}}

    def run(self, image):
        pixels = np.array(Image.open(folder_paths.get_annotated_filepath(image)).convert("RGB"), np.float32) / 255
        return torch.from_numpy(pixels)[None], torch.zeros(1, *pixels.shape[:2])


class LoadVideo:
    RETURN_TYPES, FUNCTION = ("VIDEO",), "run"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"file": (_files(".mp4"), {"video_upload": True})}}

    def run(self, file):
        return (folder_paths.get_annotated_filepath(file),)


class GetVideoComponents:
    RETURN_TYPES, FUNCTION = ("IMAGE", "AUDIO", "FLOAT", "COMBO", "COMBO"), "run"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"video": ("VIDEO", {})}}

    def run(self, video):
        with av.open(video) as opened:
            rate = float(opened.streams.video[0].average_rate)
            frames = [torch.from_numpy(frame.to_ndarray(format="rgb24")) for frame in opened.decode(video=0)]
        return torch.stack(frames).float() / 255, None, rate, 8, "sRGB"


class CreateVideo:
    RETURN_TYPES, FUNCTION = ("VIDEO",), "run"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {"images": ("IMAGE", {}), "fps": ("FLOAT", {"default": 30.0, "min": 1.0, "max": 120.0})},
            "optional": {
                "audio": ("AUDIO", {}),
                "bit_depth": ([8, 10], {"default": 8}),
                "color_space": (["sRGB"], {"default": "sRGB"}),
            },
        }

    def run(self, images, fps, audio=None, bit_depth=8, color_space="sRGB"):
        return (Clip.of(images.clone(), fps),)


class SaveVideo:
    RETURN_TYPES, FUNCTION, OUTPUT_NODE = ("VIDEO",), "run", True

    @classmethod
    def INPUT_TYPES(cls):
        auto = (["auto"], {"default": "auto"})
        named = ("STRING", {"default": "video/ComfyUI"})
        return {
            "required": {"video": ("VIDEO", {}), "filename_prefix": named, "format": auto},
            "optional": {"format.codec": auto, "codec": auto},
        }

    def run(self, video, filename_prefix, **_):
        output = folder_paths.get_output_directory()
        folder, name, number, within, _ = folder_paths.get_save_image_path(filename_prefix, output)
        file = f"{name}_{number:05}_.mp4"
        video.save(Path(folder) / file)
        return {"ui": {"images": [{"filename": file, "subfolder": within, "type": "output"}]}, "result": (video,)}


class PreviewAny:
    RETURN_TYPES, FUNCTION, OUTPUT_NODE = ("STRING",), "run", True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"source": ("*", {})}}

    def run(self, source):
        return {"ui": {"text": [str(source)]}, "result": (str(source),)}


CORE = {node.__name__: node for node in (LoadImage, LoadVideo, GetVideoComponents, CreateVideo, SaveVideo, PreviewAny)}
