"""Image classification: data, small networks and augmentation."""
