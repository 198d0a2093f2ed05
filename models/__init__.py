"""MTSS (Lu et al.), the method whose paper the tables come from."""
