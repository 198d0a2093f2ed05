"""The base of all rooms: artifacts, hashes, errors, the command line, progress, MLflow. Imports no other room."""
