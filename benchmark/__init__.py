"""One protocol for training and measuring facial expression synthesis."""

__version__ = "0.1.0"
