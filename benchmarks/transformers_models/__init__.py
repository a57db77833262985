"""A sweep of the model classes of transformers: what works, what is refused, what fails."""
