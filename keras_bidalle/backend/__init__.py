"""What differs between TensorFlow, JAX and PyTorch, and between processes."""
