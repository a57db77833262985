"""Parts for trainers, in a file for each library, imported by the library's name.

Most trainers need none: `consistent` works inside the model. The callbacks here store the step of
the masks in a trainer's checkpoints, and TRL's trainer gets a class that uses the model's own loss.
Accelerate stores the step itself:
`accelerator.register_for_checkpointing(dropsmith.noise_of(model))`.
"""
