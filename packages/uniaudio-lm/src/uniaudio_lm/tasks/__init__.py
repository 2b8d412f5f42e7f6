"""What the model does for users: recognition and speech."""
