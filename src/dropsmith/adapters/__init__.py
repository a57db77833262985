"""The parts a trainer needs beside `consistent`, a file each, imported by its library's name.

Most need nothing: `consistent` works inside the model. What is here carries the step of the masks
through a trainer's checkpoints, and takes TRL's trainer back to the model's own loss. Accelerate
carries the step itself: `accelerator.register_for_checkpointing(dropsmith.noise_of(model))`.
"""
