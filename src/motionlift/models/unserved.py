"""Pipelines of diffusers that no family serves, and why."""

from collections.abc import Mapping

NOT_SERVED: Mapping[tuple[str, ...], str] = {
    (
        *("HunyuanVideoImageToVideoPipeline", "HunyuanVideo15ImageToVideoPipeline", "Kandinsky5I2VPipeline"),
        "SkyReelsV2ImageToVideoPipeline",
    ): "no picture can be given to it; the pipeline of the same family that makes videos from text is served",
    (
        *("CogVideoXVideoToVideoPipeline", "LTXConditionPipeline", "WanAnimatePipeline", "WanVACEPipeline"),
        "WanVideoToVideoPipeline",
    ): "they take a video or a control beside the prompt, which nothing here gives; others of their families are served",
    (
        "SkyReelsV2DiffusionForcingPipeline",
    ): "it denoises the frames of one video at levels of their own; SkyReelsV2Pipeline is served",
    ("Kandinsky5T2VPipeline",): "with attention of the kind nabla (Pro, ten seconds) alone: it does not go through "
    "scaled_dot_product_attention, so that it cannot be read",
    ("SanaVideoPipeline",): "its attention has no softmax, so that there are no maps of attention to read",
    (
        "LattePipeline",
    ): "it attends to space and to time apart, in frames, and has no row of that kind; AnimateDiffPipeline is served",
    (
        "CosmosTextToWorldPipeline",
        "Cosmos2TextToImagePipeline",
    ): "they cannot be built without the package cosmos_guardrail",
    ("StableVideoDiffusionPipeline",): "it reads no text",
    ("EasyAnimatePipeline", "HeliosPipeline"): "they have no row; nobody has asked for one",
    (
        "ChronoEditPipeline",
        "ConsisIDPipeline",
        "LucyEditPipeline",
    ): "variants of Wan and of CogVideoX that edit, or keep a face",
}
"""Pipelines of diffusers by their classes, and why they are not served."""


def reason(pipeline: str) -> str | None:
    """Why a pipeline is not served, by its class; none where nothing is known of it."""
    return next((why for names, why in NOT_SERVED.items() if pipeline in names), None)
