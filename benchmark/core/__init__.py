"""What everything stands on: artifacts, hashes, errors, the command line, progress, MLflow. Imports no other room."""
