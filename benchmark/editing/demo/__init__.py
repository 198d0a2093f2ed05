"""The demo: edits in a browser, with trained models of this machine."""
