"""The class that prepares pictures for CLIP with Pillow alone, which transformers has renamed."""

import transformers

if tuple(int(number) for number in transformers.__version__.split(".")[:2]) >= (5, 6):
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
else:
    from transformers import CLIPImageProcessor as CLIPImageProcessorPil

__all__ = ["CLIPImageProcessorPil"]
