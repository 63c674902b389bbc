"""Names of samplers, which settings and schedules allow; no tensors here, so that a slip is told at once."""

OWN = "own"
"""The sampler of the first order that keeps the noise: DDIM, and Euler of flows."""
DIFFUSION_SAMPLERS = (OWN, "ddim", "ddpm", "dpm", "dpm-sde", "unipc")
FLOW_SAMPLERS = (OWN, "euler", "dpm", "dpm-sde", "unipc")
"""Samplers that a schedule allows: of diffusion, and of flows. Between the levels of a diffusion schedule Euler's step is DDIM's;
of flows no published model takes the steps of DDPM."""
SAMPLERS = tuple(dict.fromkeys((*DIFFUSION_SAMPLERS, *FLOW_SAMPLERS)))
"""All of them (:mod:`motionlift.loops.samplers`)."""
