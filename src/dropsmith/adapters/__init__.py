"""Callbacks and trainers for other libraries, a module for each library.

Most trainers need none of them, because `consistent` works inside the model. The callbacks store
the step of the masks in a trainer's checkpoints, and `trl.SFTTrainer` uses the model's own loss.
Accelerate stores the step with
`accelerator.register_for_checkpointing(dropsmith.noise_of(model))`.
"""
